#!/bin/bash
# Pods between machines with --network-backend=host-gw.
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/overlay.sh"
NODE_FLAGS=(--network-backend=host-gw)
machines_begin host-gw 3
overlay_test 1500
