# Ends the private servers when their owner is gone, however it went: this is what covers Ctrl-C, panics and kill -9.
#
# The owner holds the other end of standard input and writes a line with the process groups to end whenever they change.
# When the pipe closes, the owner is finished or dead.
#
#   warden.sh SIGNAL FOLDER
#
# It leads its own process group, so that a Ctrl-C at the terminal does not reach it.
trap '' HUP INT TERM
signal=$1
folder=$2
groups=

while read -r line; do groups=$line; done

for group in $groups; do kill -s "$signal" -- "-$group" 2>/dev/null; done

# Up to five seconds to end in good order, which frees shared memory; then no more questions.
tries=0
for group in $groups; do
    while kill -0 -- "-$group" 2>/dev/null && [ "$tries" -lt 50 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -s KILL -- "-$group" 2>/dev/null
done

rm -rf "$folder" 2>/dev/null || { sleep 1; rm -rf "$folder"; }
