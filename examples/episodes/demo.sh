#!/bin/sh
# The fourth part of `make demo`: episodes of this machine's telemetry are shipped over mutual TLS to a receiver that is killed on the
# way, and an index row that gets lost is brought back.
# usage: demo.sh HIGHWATER REPOSITORY DIRECTORY CERTIFICATES BUILD
# BUILD is the command that builds CERTIFICATES: the telemetry is of this machine while it runs.
set -eu
highwater=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
repository=$(cd "$2" && pwd)
demo=$3
certificates=$4
build=$5

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
run() {
    printf '$ highwater %s\n' "$*"
    code=0
    "$highwater" "$@" || code=$?
    printf '(exit %s)\n' "$code"
}
expect() {
    [ "$code" = "$1" ] || { echo "demo: expected exit $1, got $code; make demo-clean begins anew" >&2; exit 1; }
}
rows() {
    found=$(wc -l <received/index.jsonl | tr -d ' ')
    echo "rows in received/index.jsonl: $found"
    [ "$found" = "$1" ] || { echo "demo: expected $1" >&2; exit 1; }
}

# receive: the far side, until `hush`
receive() {
    : >receive.out
    "$highwater" --json receive >receive.out 2>receive.log &
    far_side=$!
    tries=0
    while [ ! -s receive.out ] && kill -0 $far_side 2>/dev/null && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    RECEIVER=$(sed -n 's/.*"listens":"https:\/\/127.0.0.1:\([0-9]*\)".*/https:\/\/localhost:\1\//p' receive.out)
    [ -n "$RECEIVER" ] || { echo "demo: the receiver does not start:" >&2; cat receive.out receive.log >&2; exit 1; }
    export RECEIVER
}
# hush [SIGNAL]
hush() {
    [ -z "$far_side" ] || kill "${1:--TERM}" "$far_side" 2>/dev/null || true
    [ -z "$far_side" ] || wait "$far_side" 2>/dev/null || true
    far_side=
}
trap 'hush' EXIT
far_side=

# build: what the rest of the demo needs
build() { (cd "$repository" && sh -c "$build"); }

# record NAME: two seconds of what this machine does
record() {
    mkdir -p "episodes/$1"
    {
        echo "sample,load,free_kib,context_switches"
        sample=0
        while [ $sample -lt 20 ]; do
            load=$(cut -d' ' -f1 /proc/loadavg)
            free=$(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)
            switches=$(sed -n 's/^ctxt //p' /proc/stat)
            echo "$sample,$load,$free,$switches"
            sample=$((sample + 1))
            sleep 0.1
        done
    } >"episodes/$1/telemetry.csv"
    printf '{"host":"lab-1","code_version":{"commit":"%s"}}\n' "$commit" >"episodes/$1/meta.json"
    touch "episodes/$1/done.marker"
}

mkdir -p "$demo"
cd "$demo"
if [ ! -e drained ]; then
    # An earlier demo was interrupted, or there was none.
    rm -rf .highwater-state episodes outbox shipped received certificates
fi
cp "$repository/examples/episodes/highwater.toml" .
mkdir -p episodes received

# What recorded the episodes is this repository's code: the receiver accepts its newest hundred commits.
commit=$(git -C "$repository" rev-parse HEAD 2>/dev/null || true)
if [ -n "$commit" ]; then
    cat >>highwater.toml <<EOT

[receiver.gate]
repository = "$repository"
remediation = ["git pull"]
EOT
fi

if [ -e drained ]; then
    build
    receive
    say "Every episode is shipped and has its row: nothing is sent, nothing is indexed anew."
    run run send rows
    expect 0
    rows 3
    exit 0
fi

say "14. A lab host records three episodes: what this machine does while it builds, and the commit of the code that recorded it"
build &
builder=$!
for episode in first second third; do record $episode; done
wait $builder || { echo "demo: the rest of it cannot be built: $build" >&2; exit 1; }
"$certificates" certificates lab-1
ls -R episodes

say "15. Shipped over mutual TLS, one at first; then the receiver is killed"
receive
run run send --max-items 1
expect 3
hush -KILL
run run send
expect 3
echo "still to be sent: $(ls episodes | tr '\n' ' ')"

say "16. The receiver is back: what was packed is sent, and each episode is stored once, indexed once, retired once"
receive
run run send
expect 0
rows 3
ls shipped

say "17. A row gets lost. The episode is there, so its row can be made again, beside the live receiver"
sed 2d received/index.jsonl >received/index.shorter
cat received/index.shorter >received/index.jsonl
rm received/index.shorter
rows 2
run run rows
expect 0
rows 3
tail -n 1 received/index.jsonl
touch drained

cat <<EOT

What happened   three episodes were packed once each, sent over mutual TLS under the name that lab-1's certificate gives it, and answered
                only when bytes and row would survive a power cut; the kill cost nothing but a checkpoint; a lost row came back.
Where it lies   $demo
                  shipped/                          what the host recorded and the receiver has
                  received/episodes/lab-1/          the archives
                  received/index.jsonl              a row an episode
What to try     cd $demo
                export PATH=$(dirname "$highwater"):\$PATH
                tar --zstd -tvf received/episodes/lab-1/first.tar.zst
                highwater receive
EOT
