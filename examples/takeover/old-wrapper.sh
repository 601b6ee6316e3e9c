#!/bin/sh
# The wrapper that cron called every half hour, as it was. One at a time, .done when there is nothing left, .halted when
# somebody has to look; delete the file and it goes on.
#   */30 * * * * /srv/books/old-wrapper.sh
cd "$(dirname "$0")" || exit 1

exec 9>>books.lock
flock -n 9 || exit 0
[ -e .done ] && exit 0
[ -e .halted ] && exit 4

echo "$(date -u +%FT%TZ) start" >>old.log
./load >>old.log 2>&1
code=$?
case $code in
    0) date -u +%FT%TZ >.done ;;
    3) ;;
    *)
        { date -u +%FT%TZ; tail -n 3 old.log; } >.halted
        code=4
        ;;
esac
echo "$(date -u +%FT%TZ) end $code" >>old.log
exit $code
