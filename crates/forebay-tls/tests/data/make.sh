#!/usr/bin/env bash
# Makes the certificates of this folder anew: what nobody issues any more, and rcgen cannot.
# Needs OpenSSL 3. The keys are thrown away; every certificate is for weak.example until 2126.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

cat > "$work/server" <<'END'
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:weak.example
END

# root NAME KEY..: a root of that name with a key by the arguments of genpkey.
root() {
    local name=$1
    shift
    openssl genpkey -quiet "$@" -out "$work/$name.key"
    openssl req -x509 -new -key "$work/$name.key" -subj "/CN=$name" -days 36500 -out "$name.pem"
}

# leaf NAME ROOT DIGEST EXTENSIONS KEY..: a server's certificate.
leaf() {
    local name=$1 root=$2 digest=$3 extensions=$4
    shift 4
    openssl genpkey -quiet "$@" -out "$work/$name.key"
    openssl req -new -key "$work/$name.key" -subj "/CN=$name" -out "$work/$name.csr"
    # Digest and extensions are several words each, or none.
    # shellcheck disable=SC2086
    openssl x509 -req -in "$work/$name.csr" -CA "$root.pem" -CAkey "$work/$root.key" \
        -set_serial "0x$(openssl rand -hex 8)" -days 36200 $digest $extensions -out "$name.pem" 2> /dev/null
}

readonly RSA2048=(-algorithm RSA -pkeyopt rsa_keygen_bits:2048)
readonly RSA1024=(-algorithm RSA -pkeyopt rsa_keygen_bits:1024)
root rsa-root "${RSA2048[@]}"
root rsa1024-root "${RSA1024[@]}"
root ed448-root -algorithm ED448
leaf good-leaf rsa-root -sha256 "-extfile $work/server" "${RSA2048[@]}"
leaf sha1-leaf rsa-root -sha1 "-extfile $work/server" "${RSA2048[@]}"
leaf md5-leaf rsa-root -md5 "-extfile $work/server" "${RSA2048[@]}"
leaf rsa1024-leaf rsa-root -sha256 "-extfile $work/server" "${RSA1024[@]}"
leaf under-rsa1024-leaf rsa1024-root -sha256 "-extfile $work/server" "${RSA2048[@]}"
leaf version1-leaf rsa-root -sha256 "" "${RSA2048[@]}"
leaf ed448-leaf ed448-root "" "-extfile $work/server" "${RSA2048[@]}"
