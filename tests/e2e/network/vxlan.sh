#!/bin/bash
# Pods between machines with --network-backend=vxlan.
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/overlay.sh"
NODE_FLAGS=(--network-backend=vxlan)
machines_begin vxlan 3
overlay_test 1450
