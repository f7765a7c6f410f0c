# Installs Debian packages whose own services stay stopped: ours are private and run only while they are needed.
#
#   install.sh PACKAGE...
set -eu

# A package that wants to start its service asks this file; 101 means "not now".
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends "$@"
