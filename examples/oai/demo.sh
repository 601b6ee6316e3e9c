#!/bin/sh
# The second half of `make demo`: a catalogue is harvested and back-filled from a repository on the loopback, which misbehaves.
# usage: demo.sh HIGHWATER REPOSITORY DIRECTORY
set -eu
highwater=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$2" && pwd)/examples/oai
demo=$3

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
# requests COUNT EXPECTED
requests() {
    echo "requests: $1"
    [ "$1" = "$2" ] || { echo "demo: expected $2" >&2; exit 1; }
}
asked() { wc -l <asked.log | tr -d ' '; }

# serve FAULT…: the far side, until `hush`
serve() {
    : >serve.out
    # shellcheck disable=SC2086
    "$highwater" --json oai serve --generated 400 --listen 127.0.0.1:"$port" --access-log asked.log "$@" >serve.out 2>&1 &
    far_side=$!
    tries=0
    while [ ! -s serve.out ] && kill -0 $far_side 2>/dev/null && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    BASE_URL=$(sed -n 's/.*"base_url":"\([^"]*\)".*/\1/p' serve.out)
    [ -n "$BASE_URL" ] || { echo "demo: the repository does not start:" >&2; cat serve.out >&2; exit 1; }
    export BASE_URL
    port=${BASE_URL##*:}
    port=${port%%/*}
    echo "$port" >port
}
hush() {
    kill "$far_side" 2>/dev/null || true
    wait "$far_side" 2>/dev/null || true
}
trap 'hush' EXIT
far_side=

mkdir -p "$demo"
cd "$demo"
cp "$here/highwater.toml" .
touch asked.log
# A crawl is of an address; a second run asks at the same one.
port=$(cat port 2>/dev/null || echo 0)

if [ -e drained ]; then
    serve
    before=$(asked)
    say "The catalogue is whole already. A harvest asks for one list, and a backfill asks nothing:"
    run run harvest missing
    expect 0
    requests $(($(asked) - before)) 1
    exit 0
fi

say "6. A library's catalogue: a harvest begins at a date, and the repository says 503 in the middle"
serve --fault 503=1@3 --fault leading-newline
run run harvest --until-drained
expect 0
run catalog figures

say "7. What the catalogue lacks of the repository: one crawl says it, and drains nothing"
run oai discover missing
expect 0

say "8. Drained in passes of 120 contacts, past an HTML page, a cut answer and a 429"
hush
serve --fault html@30 --fault truncate@90 --fault 429=1@150
run run missing --until-drained
expect 0
run catalog figures
run catalog search history --limit 3
run catalog show 20.500.12854/101
expect 0

say "9. A second host: the crawl comes as a snapshot, and the repository is not asked"
run oai snapshot export missing books
expect 0
hush
serve
before=$(asked)
run --state-dir second-host oai snapshot import missing books
expect 0
requests $(($(asked) - before)) 0
touch drained

cat <<EOT

What happened   a harvest and a backfill filled one catalogue from a repository that banned, lied and broke off; no record was lost,
                none was loaded twice, and a second host knows what it lacks without having asked.
Where it lies   $demo
                  .highwater-state/catalog.db   the catalogue
                  .highwater-state/oai/missing/ what was missing, stale, unknown
                  asked.log                     every request that the repository got
What to try     cd $demo
                export PATH=$(dirname "$highwater"):\$PATH
                export BASE_URL=$BASE_URL
                highwater oai serve --generated 400 --listen 127.0.0.1:$port &
                highwater catalog search '"its readers" hist*'
                highwater catalog export --csv | head
                highwater oai serve --faults
EOT
