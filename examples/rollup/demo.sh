#!/bin/sh
# The third part of `make demo`: a year of usage is rolled up by the hour, proved, shown, and what it replaces is dropped.
# usage: demo.sh HIGHWATER REPOSITORY DIRECTORY
set -eu
highwater=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$2" && pwd)/examples/rollup
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

mkdir -p "$demo"
cd "$demo"
if [ ! -e drained ]; then
    # An earlier demo was interrupted, or there was none.
    rm -rf .highwater-state usage.db* migrations
fi
cp -R "$here/migrations" "$here/highwater.toml" .

if [ -e drained ]; then
    say "The rollup is seeded already: a pass moves its watermark, and everything is still as the raw rows say."
    run run usage
    expect 0
    run verify usage
    expect 0
    exit 0
fi

say "10. A year of an application's usage, and a migration that would drop an older table: nothing proves yet that it may"
: >usage.db
run migrate up
expect 4

say "11. The rollup is declared in the configuration; its tables and triggers are plain SQL"
run rollup install usage
expect 0
run run usage --dry-run
expect 3

say "12. Seeded month by month while the application could go on writing; then the migration finds its proof"
run run usage
expect 0
run migrate up
expect 0
run verify usage
expect 0

say "13. What it says"
run rollup show usage --by model --value tokens
expect 0
run rollup show usage --by model --value tokens --svg usage.svg
expect 0
run rollup show usage --value calls --heatmap --svg heatmap.svg
expect 0
touch drained

cat <<EOT

What happened   a year of usage was rolled up by the hour in slices, each a transaction; a table that it replaces was dropped only when
                the watermark proved that nothing is missing; every bucket was compared with the raw rows.
Where it lies   $demo
                  usage.db                      the application's rows and the rollup
                  usage.svg, heatmap.svg        the charts
What to try     cd $demo
                export PATH=$(dirname "$highwater"):\$PATH
                highwater rollup ddl usage | less
                highwater rollup show usage --by agent_id --value calls --last 30d --tz Europe/Berlin
                highwater rollup guard usage
                highwater run usage --tick
EOT
