# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The services of "make demo", as options of luo-vm.

# copy_demo_services PROGRAMS UNITS: adds to copies those of these folders
copy_demo_services() {
    local service
    for service in kv spool cache; do
        copies+=(--copy "$1/luo-example-$service:/usr/local/bin/luo-example-$service"
            --copy "$2/luo-example-$service.service:/etc/systemd/system/luo-example-$service.service")
    done
}
