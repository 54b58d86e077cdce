#!/usr/bin/env bash
# signal-hook 0.4.0, a release that breaks compatibility and adds features, asks for exactly one version of
# libc ("=0.2.156"). So no program can depend on it together with a crate that needs a newer libc, such as nix
# 0.31.3 (0.2.186 or later): cargo finds no solution, although each of the two is fine alone. A floor of "0.4"
# in a manifest hides this, because cargo takes 0.4.1, which has dropped the pin; with the smallest versions
# (-Z minimal-versions), or with a lock file of those days, it comes out.
#
# Exit status: 0 if it is so, 1 if it has changed, 2 if it cannot be tried here.
set -euo pipefail

command -v cargo > /dev/null || { echo "SKIP: cargo is not installed"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# resolve NAME DEPENDENCY..: the outcome of resolving these dependencies, in NAME.log.
resolve() {
    local name=$1
    shift
    mkdir -p "$name/src"
    : > "$name/src/lib.rs"
    printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n' "$name" > "$name/Cargo.toml"
    printf '%s\n' "$@" >> "$name/Cargo.toml"
    (cd "$name" && timeout 120 cargo generate-lockfile) > "$name.log" 2>&1
}

readonly HOOK='signal-hook = { version = "=0.4.0", default-features = false }'
if ! resolve hook "$HOOK" || ! resolve nix 'nix = "=0.31.3"'; then
    echo "SKIP: one of the crates cannot be had"
    tail -3 ./*.log
    exit 2
fi
if resolve both "$HOOK" 'nix = "=0.31.3"'; then
    echo "changed: signal-hook 0.4.0 and nix 0.31.3 resolve together"
    exit 1
fi
grep -F 'libc = "=0.2.156"' both.log
resolve next 'signal-hook = { version = "=0.4.1", default-features = false }' 'nix = "=0.31.3"'
echo "signal-hook 0.4.1 and nix 0.31.3 resolve together"
