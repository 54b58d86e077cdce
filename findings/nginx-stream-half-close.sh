#!/usr/bin/env bash
# nginx as a proxy that ends TLS in front of a plain server (`stream`, `listen ssl`). With
# `proxy_half_close on` an end of the server's is passed on as TCP's end alone: the client gets no
# close_notify (RFC 8446, section 6.1), and cannot tell the end from a connection that was cut. The
# client's own close_notify does arrive at the server as an end, and what the server answers then arrives
# at the client. With `proxy_half_close off`, the default, the client gets close_notify, and an answer
# behind its own end is lost.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

readonly VERSION=1.22.1-9+deb12u11

for tool in apt-get dpkg-deb python3 openssl; do
    command -v "$tool" > /dev/null || { echo "SKIP: $tool is not installed"; exit 2; }
done
folder=$(mktemp -d)
nginx=
finish() {
    [ -z "$nginx" ] || kill "$nginx" 2> /dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

if ! timeout 60 apt-get download "nginx=$VERSION" "libnginx-mod-stream=$VERSION" > apt.log 2>&1; then
    echo "SKIP: nginx $VERSION is not in this system's archive"
    exit 2
fi
for package in ./*.deb; do dpkg-deb --extract "$package" root; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2> openssl.log

cat > peers.py << 'PY'
"""A server without TLS behind the proxy and a client with TLS in front of it; one of them ends first.

Prints what the client has read, and how that ended."""
import socket, ssl, sys, threading

front, back, version, first = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
listener = socket.create_server(("127.0.0.1", back))
listener.settimeout(10)


def serve():
    link, _ = listener.accept()
    link.settimeout(10)
    if first == "server":
        link.sendall(b"bye")
        link.shutdown(socket.SHUT_WR)
    while link.recv(1000):
        pass
    if first == "client":
        try:
            link.sendall(b"answer")
        except OSError:
            pass
    link.close()


server = threading.Thread(target=serve, daemon=True)
server.start()
context = ssl.create_default_context(cafile="cert.pem")
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
arrives, leaves = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(arrives, leaves, server_hostname="localhost")
link = socket.create_connection(("127.0.0.1", front), timeout=10)
while True:
    try:
        tls.do_handshake()
        break
    except ssl.SSLWantReadError:
        link.sendall(leaves.read())
        arrives.write(link.recv(65536))
if first == "client":
    tls.write(b"question")
    try:
        tls.unwrap()
    except (ssl.SSLWantReadError, ssl.SSLError):
        pass
link.sendall(leaves.read())
said, end = b"", ""
while not end:
    part = link.recv(65536)
    if part:
        arrives.write(part)
    else:
        arrives.write_eof()
    try:
        while True:
            read = tls.read(1000) if first == "server" else tls.unwrap() or b""
            said += read
            if not read:
                end = "close_notify"
                break
    except ssl.SSLWantReadError:
        pass
    except ssl.SSLEOFError:
        end = "TCP's end alone"
    except ssl.SSLError as error:
        # OpenSSL reads no data behind its own close_notify, but says that there are some.
        end = "an answer" if error.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY" else error.reason
print(said.decode(), end, sep=", " if said else "")
PY

free_port() {
    python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

front=$(free_port)
back=$(free_port)
start() {
    cat > nginx.conf << CONF
load_module $folder/root/usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
pid $folder/nginx.pid;
error_log $folder/nginx.log warn;
events {}
stream {
    server {
        listen 127.0.0.1:$front ssl;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        proxy_pass 127.0.0.1:$back;
        proxy_half_close $1;
    }
}
CONF
    root/usr/sbin/nginx -p "$folder" -c nginx.conf 2>> nginx.log &
    nginx=$!
    for _ in $(seq 100); do
        (: < "/dev/tcp/127.0.0.1/$front") 2> /dev/null && return
        sleep 0.1
    done
    echo "SKIP: nginx does not start: $(cat nginx.log)"
    exit 2
}

changed=0
expect() {
    local expected=$1 found
    shift
    found=$(timeout 30 python3 peers.py "$front" "$back" "$@")
    printf '  %s, the %s ends first; the client gets: %s\n' "$1" "$2" "$found"
    [ "$found" = "$expected" ] || changed=1
}

root/usr/sbin/nginx -v 2>&1
python3 -c 'import ssl, sys; print("client: Python", sys.version.split()[0], ssl.OPENSSL_VERSION)'
for half_close in off on; do
    start "$half_close"
    echo "proxy_half_close $half_close"
    for version in TLSv1_2 TLSv1_3; do
        if [ "$half_close" = on ]; then
            expect "bye, TCP's end alone" "$version" server
            expect "an answer" "$version" client
        else
            expect "bye, close_notify" "$version" server
            expect "TCP's end alone" "$version" client
        fi
    done
    kill "$nginx"
    wait "$nginx" 2> /dev/null || true
    nginx=
done
if [ "$changed" = 1 ]; then
    echo "CHANGED"
    exit 1
fi
echo "AS DESCRIBED"
