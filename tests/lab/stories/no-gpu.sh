#!/bin/bash
# machine: --driver real --gpus 0
# Without a GPU: the code for it, at once, nothing compiled or loaded.
. /lab/tap.sh

before=$(now_ms)
systemctl start nvidia-driverd
status=$?
took=$(($(now_ms) - before))
note "start failed after $took ms"
check "start fails" test $status != 0
check "in under 5 s" test $took -lt 5000
check "the exit status is that of no-gpu" test "$(systemctl show -P ExecMainStatus nvidia-driverd)" = 10
check "it is not restarted" test "$(systemctl show -P NRestarts nvidia-driverd)" = 0
check "status tells the code" test "$(code)" = no-gpu
check "status tells the state" state_is failed
check "the journal has the next step" grep -q 'lspci' <(journalctl -u nvidia-driverd --no-pager)
check "nothing was loaded" no_nvidia_module
check_not "nothing was staged" test -e /var/lib/nvidia-driverd/staging/*
check "explain knows the code" grep -q 'exit status 10' <(nvidia-driver explain no-gpu)
finish
