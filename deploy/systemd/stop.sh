#!/bin/sh
# Stops the service before its package is removed, and not before an upgrade: dpkg calls it
# with remove or upgrade, rpm with 0 or 1.
case "$1" in
remove | 0)
    if [ -d /run/systemd/system ]; then
        systemctl disable --now wsecho.socket wsecho.service
    fi
    ;;
esac
