echo up=yes

# Waits until a command succeeds, for at most ten seconds.
until_so() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || return 1
        sleep 0.1
    done
}
result() { systemctl show -p Result --value "$1"; }

systemctl start highwater-receive.service highwater-ship-send.service
echo "receive=$(systemctl is-active highwater-receive.service)"
echo "ship=$(systemctl is-active highwater-ship-send.service)"

cd /var/lib/highwater
mkdir episodes/ep-1
echo data >episodes/ep-1/data
echo '{}' >episodes/ep-1/meta.json
chown -R highwater: episodes/ep-1
before=$(stat -c %i episodes/ep-1)
: >episodes/ep-1/done.marker
until_so test -d shipped/ep-1
if [ "$(stat -c %i shipped/ep-1)" = "$before" ]; then echo "shipped=by a rename"; else echo "shipped=by a copy"; fi
[ -f received/episodes/lab-1/ep-1.tar.zst ] && echo stored=yes

pid=$(systemctl show -p MainPID --value highwater-receive.service)
if nsenter --mount --target "$pid" touch /var/lib/highwater/elsewhere; then echo writes-elsewhere=yes; else echo writes-elsewhere=no; fi
echo "capabilities=$(sed -n 's/^CapEff:\t//p' /proc/"$pid"/status)"
echo "privileges=$(sed -n 's/^NoNewPrivs:\t//p' /proc/"$pid"/status)"
echo "syscalls=$(sed -n 's/^Seccomp:\t//p' /proc/"$pid"/status)"

: >received/index.jsonl
systemctl start highwater-run-rows.service
echo "rows=$(result highwater-run-rows.service)"
grep -q '"episode_id":"ep-1"' received/index.jsonl && echo row=yes

systemctl start highwater-run-later.service
echo "checkpoint=$(result highwater-run-later.service)"
systemctl start highwater-run-never.service
echo "halted=$(result highwater-run-never.service)"

systemctl reload highwater-receive.service
echo "reloaded=$(systemctl is-active highwater-receive.service)"
systemctl start highwater-run-rows.timer
echo "timer=$(systemctl is-active highwater-run-rows.timer)"
systemctl stop highwater-receive.service highwater-ship-send.service
echo "receive-ended=$(result highwater-receive.service)"
echo "ship-ended=$(result highwater-ship-send.service)"
journalctl --no-pager -o cat >&2
