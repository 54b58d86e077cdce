#!/usr/bin/env bash
# Runs forebay's tests on each host with each number of workers, and prints a line for each cell:
# `HOST WORKERS PASSED FAILED`. The output of a cell is in target/matrix/HOST-WORKERS.log.
#
#     .ci/matrix.sh                     the whole matrix
#     .ci/matrix.sh "thread smol" "2"   these hosts, with these numbers of workers
#     .ci/matrix.sh own 1 --test tls    only what these arguments of `cargo test` select
#
# The programs of which no test goes by the host are run on `own` alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0

readonly LOGS=target/matrix
read -ra hosts <<< "${1:-own tokio tokio-multi thread smol}"
read -ra numbers <<< "${2:-1 2 4}"
shift $(($# < 2 ? $# : 2))
mkdir -p "$LOGS"

# Two builds: the feature `tokio` changes nothing outside of its runtimes, but with `smol` async-io drives the sockets
# of a thread.
features_of() {
    case $1 in
        own | tokio | tokio-multi | thread) echo --features tokio,forebay-testing/hosts ;;
        smol) echo --features smol,forebay-testing/smol ;;
        *) echo "$1 is no host" >&2 && return 1 ;;
    esac
}

# programs_of HOST: the arguments of `cargo test`.
programs_of() {
    if [ "$1" = own ]; then
        echo --tests
    else
        printf -- '--test %s ' cancel channels closing connecting faults memory options selector \
            signals tasks tls tls_ends udp unix
    fi
}

# A program that ends without its line, because it aborts or hangs, counts as one failure.
count() {
    awk '/^     Running / { programs++ }
         /^test result:/ { programs--; passed += $4; failed += $6 }
         END { print passed + 0, failed + programs }' "$1"
}

outcome=0
cargo build --quiet --examples
for host in "${hosts[@]}"; do
    read -ra features <<< "$(features_of "$host")"
    programs=("$@")
    [ $# -gt 0 ] || read -ra programs <<< "$(programs_of "$host")"
    for workers in "${numbers[@]}"; do
        log=$LOGS/$host-$workers.log
        FOREBAY_HOST=$host FOREBAY_WORKERS=$workers timeout 1800 cargo test -p forebay \
            "${features[@]}" --no-fail-fast "${programs[@]}" < /dev/null > "$log" 2>&1 || outcome=1
        echo "$host $workers $(count "$log")"
    done
done
exit "$outcome"
