#!/usr/bin/env bash
# A TLS 1.3 server of Node ends a connection by TCP's end alone, without close_notify (RFC 8446, section
# 6.1), when the client's Finished, more than 64 KiB of data and the client's close_notify are there to be
# read in one turn of its loop. The server reads all of the data and its end, and nobody has told it to
# leave anything out. It says close_notify with 60,000 bytes, with a pause behind the handshake, and over
# TLS 1.2.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

readonly NODES=(20.19.5 24.9.0)
readonly ROUNDS=5

for tool in npm python3 openssl; do
    command -v "$tool" > /dev/null || { echo "SKIP: $tool is not installed"; exit 2; }
done
folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2> openssl.log

cat > server.js << 'JS'
const tls = require('tls'), fs = require('fs');
const options = { key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') };
const server = tls.createServer(options, (socket) => {
  let count = 0;
  socket.on('data', (chunk) => { count += chunk.length; });
  socket.on('end', () => { console.log(`the server has read ${count} bytes and their end`); });
  socket.on('error', (error) => { console.log(`the server has met ${error.code}`); });
});
server.listen(0, '127.0.0.1', () => { console.log(`port ${server.address().port}`); });
JS

cat > client.py << 'PY'
"""Sends so many bytes and close_notify, and prints how the server ends."""
import socket, ssl, sys, time

port, size, version, how = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile="cert.pem")
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
arrives, leaves = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(arrives, leaves, server_hostname="localhost")
link = socket.create_connection(("127.0.0.1", port), timeout=10)
link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
while True:
    try:
        tls.do_handshake()
        break
    except ssl.SSLWantReadError:
        link.sendall(leaves.read())
        arrives.write(link.recv(65536))
if how == "apart":
    link.sendall(leaves.read())
    time.sleep(0.3)
tls.write(bytes(size))
try:
    tls.unwrap()
except ssl.SSLWantReadError:
    pass
# One call: what is left of the handshake, the data, close_notify.
link.sendall(leaves.read())
while True:
    part = link.recv(65536)
    if part:
        arrives.write(part)
    else:
        arrives.write_eof()
    try:
        tls.unwrap()
        print("close_notify")
        break
    except ssl.SSLWantReadError:
        pass
    except ssl.SSLError as error:
        print("TCP's end alone" if not part else error)
        break
PY

# Prints how so many connections ended, each kind once.
ends() {
    for _ in $(seq "$ROUNDS"); do timeout 20 python3 client.py "$port" "$@"; done | sort -u | paste -sd,
}

expect() {
    local expected=$1 found
    shift
    found=$(ends "$@")
    printf '  %6s bytes, %s, %s: %s\n' "$1" "$2" "$3" "$found"
    [ "$found" = "$expected" ] || changed=1
}

changed=0
python3 -c 'import ssl, sys; print("client: Python", sys.version.split()[0], ssl.OPENSSL_VERSION)'
for version in "${NODES[@]}"; do
    mkdir "node-$version"
    if ! timeout 100 npm install --silent --no-audit --no-fund --prefix "node-$version" "node@$version" \
        > npm.log 2>&1; then
        echo "SKIP: node $version cannot be installed"
        exit 2
    fi
    node="$folder/node-$version/node_modules/.bin/node"
    echo "server: Node $("$node" --version)"
    "$node" server.js > "server-$version.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        grep -q '^port ' "server-$version.log" && break
        sleep 0.1
    done
    port=$(sed -n 's/^port //p' "server-$version.log")
    expect "TCP's end alone" 100000 TLSv1_3 together
    expect close_notify 60000 TLSv1_3 together
    expect close_notify 100000 TLSv1_3 apart
    expect close_notify 100000 TLSv1_2 together
    kill "$server"
    wait "$server" 2> /dev/null || true
    server=
    grep -v '^port ' "server-$version.log" | sort | uniq -c
done
if [ "$changed" = 1 ]; then
    echo "CHANGED"
    exit 1
fi
echo "AS DESCRIBED"
