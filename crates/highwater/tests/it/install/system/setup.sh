highwater install lab-host
cat >/etc/highwater/highwater.toml <<CONFIG
state-dir = "/var/lib/highwater/state"
[receiver]
listen = "127.0.0.1:8460"
root = "/var/lib/highwater/received"
limits.free = "1MB"
[[receiver.tokens]]
name = "lab-1"
sha256 = "$(printf %s hello | sha256sum | cut -d' ' -f1)"
hosts = ["lab-1"]
[job.send]
kind = "ship"
receiver = "http://127.0.0.1:8460"
host-id = "lab-1"
token = "\${TOKEN}"
episodes = "/var/lib/highwater/episodes"
outbox = "/var/lib/highwater/outbox"
shipped = "/var/lib/highwater/shipped"
[job.rows]
kind = "reindex"
root = "/var/lib/highwater/received"
[job.later]
kind = "exec"
command = ["sh", "-c", "exit 3"]
recurring = true
[job.never]
kind = "exec"
command = ["sh", "-c", "exit 4"]
recurring = true
CONFIG
echo TOKEN=hello >/etc/highwater/highwater.env
chmod 600 /etc/highwater/highwater.env
highwater install receiver
echo "installed=$?" >>/told/told
echo "again=$(highwater install receiver | sed -n 's/^receiver: \([^;]*\).*/\1/p')" >>/told/told
echo "owner=$(stat -c '%U:%G %a' /var/lib/highwater/state)" >>/told/told
