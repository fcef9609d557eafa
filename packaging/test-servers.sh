#!/bin/bash
# Installs the Debian servers that the test suite starts privately, and the programs it calls, where that is possible; no server is left running.
set -u

missing=()
for package in rabbitmq-server openssh-server mariadb-server postgresql chromium strace faketime; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
for command in curl npm; do # programs that often come from elsewhere than Debian
    command -v "$command" >/dev/null || missing+=("$command")
done
[ ${#missing[@]} -eq 0 ] && exit 0

notice() {
    echo "NOTICE: not installed: ${missing[*]}. $1"
    echo "NOTICE: tests that need them are skipped, and fail where CI is set."
    exit 0
}

command -v apt-get >/dev/null || notice "This system has no apt-get; install them by hand."
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    notice "Installing them needs root: sudo apt-get install ${missing[*]}"
fi

# While this guard is there, dpkg starts no service that it installs.
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$guard" >/dev/null
    "${as_root[@]}" chmod 755 "$guard"
    trap '"${as_root[@]}" rm -f "$guard"' EXIT
fi

log=$(mktemp)
echo "Setting up: installing ${missing[*]} for the tests"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >"$log" 2>&1
if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
    tail -n 15 "$log"
    notice "apt-get could not install them; the log is $log"
fi

if [ -d /run/systemd/system ]; then
    for service in rabbitmq-server ssh mariadb postgresql; do
        case " ${missing[*]} " in
            *" $service"*) "${as_root[@]}" systemctl disable --quiet "$service" 2>/dev/null || echo "NOTICE: could not disable the service $service" ;;
        esac
    done
fi
rm -f "$log"
exit 0
