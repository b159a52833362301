#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parameters of modules: where they come from, which there are, and what a change of them does."""

from harness import check, check_equal, main, put_driver, story

ORDER = ["insert nvidia", "insert nvidia_uvm", "insert nvidia_modeset"]
RECORD = "run/nvidia/nvidia-driver.loaded"


def configured(text):
    return f"--set=Parameters.nvidia={text}"


@story("a parameter that the module does not have: told before and after a build, the driver is loaded without it and READY, degraded")
def unknown(m):
    typo = configured("NVreg_EnabelMSI=1")
    for _ in range(2):
        d = m.start(typo)
        d.wait_ready()
        d.wait_for(lambda: m.status()[1]["state"] == "degraded", "degraded")
        code, status = m.status()
        check_equal((code, status["code"]), (38, "parameter-unknown"), "status")
        check("Module nvidia has no parameter NVreg_EnabelMSI; did you mean NVreg_EnableMSI?" in status["detail"], status["detail"])
        d.stop()
        check_equal((m.compiled() > 0, m.loaded()), (True, []), "compiled and loaded")
    p = m.run("plan", typo, "--set=Driver.Modules=nvidia nvidia-uvm nvidia-modeset")
    check_equal(p.returncode, 38, "exit status of plan")
    check("did you mean NVreg_EnableMSI?" in p.stdout, p.stdout)


@story("a parameter that the module does not have, and a driver that is loaded without it: adopted as it is")
def unknown_later(m):
    d = m.start(configured("NVreg_EnableMSI=1"))
    d.wait_ready()
    d.kill()
    d = m.start(configured("NVreg_EnabelMSI=0"))
    d.wait_ready()
    d.wait_for(lambda: m.status()[1]["code"] == "parameter-unknown", "degraded")
    check_equal(m.helper_log(), ["insert nvidia NVreg_EnableMSI=1"] + ORDER[1:], "what was done")
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop")


@story("a reload with a parameter that the module does not have, or another value: told as pending, the driver is left alone")
def pending(m):
    m.put("etc/nvidia-driverd/driverd.conf", "")
    d = m.start()
    d.wait_ready()
    check_equal(m.status()[1]["pending"], [], "pending")
    for text, word in (("NVreg_EnabelMSI=1", "[parameter-unknown]"), ("NVreg_EnableMSI=0", "other parameters")):
        m.put("etc/nvidia-driverd/driverd.conf", f"[Parameters]\nnvidia={text}\n")
        d.send(1)
        d.wait_for(lambda w=word: any(w in p for p in m.status()[1]["pending"]), f"pending: {word}")
        check("Pending: " in m.run("status").stdout and "Pending: " in d.log(), "text status and log")
    check_equal((m.status()[1]["state"], m.helper_log()), ("ready", ORDER), "state, what was done")
    m.put("etc/nvidia-driverd/driverd.conf", "")
    d.send(1)
    d.wait_for(lambda: m.status()[1]["pending"] == [], "nothing is pending any more")
    d.stop()


@story("the operator's file and ours: both are passed, ours last; a typo is told and skipped")
def operator(m):
    m.put("drivers/nvidia.conf", "# operator\nNVreg_EnableMSI=0\noptions nvidia NVreg_EnableMSI=2\n")
    d = m.start(configured("NVreg_EnableMSI=1"))
    d.wait_ready()
    check_equal(m.helper_log()[0], "insert nvidia NVreg_EnableMSI=0 NVreg_EnableMSI=1", "what nvidia is loaded with")
    check("/drivers/nvidia.conf:3: options nvidia NVreg_EnableMSI=2: expected only key=value" in d.log(), d.log())
    d.stop()


@story("a killed daemon's driver: adopted with the same parameters in another order, loaded again with others")
def changed(m):
    d = m.start(configured("NVreg_EnableMSI=1 NVreg_RegistryDwords=a"))
    d.wait_ready()
    check("nvidia\tNVreg_EnableMSI=1 NVreg_RegistryDwords=a\n" in m.get(RECORD), m.get(RECORD))
    d.kill()
    d = m.start(configured("NVreg_RegistryDwords=a NVreg_EnableMSI=1"))
    d.wait_ready()
    check_equal(len(m.helper_log()), 3, "helper runs")
    d.kill()
    d = m.start(configured("NVreg_EnableMSI=0"))
    d.wait_ready()
    check_equal(m.helper_log()[3:], ["delete nvidia_modeset", "delete nvidia_uvm", "delete nvidia",
                                     "insert nvidia NVreg_EnableMSI=0", "insert nvidia_uvm", "insert nvidia_modeset"],
                "what was done")
    check("nvidia\tNVreg_EnableMSI=0\n" in m.get(RECORD), m.get(RECORD))
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop")


@story("others wanted and the driver in use: BUSY, and loaded again when it is free")
def busy(m):
    d = m.start()
    d.wait_ready()
    d.kill()
    m.put("sys/module/nvidia_uvm/refcnt", "1\n")
    d = m.start(configured("NVreg_EnableMSI=1"), "--set=Retry.DelaySec=50ms")
    d.wait_status("Busy")
    m.put("sys/module/nvidia_uvm/refcnt", "0\n")
    d.wait_ready()
    check("insert nvidia NVreg_EnableMSI=1" in m.helper_log(), m.helper_log())
    d.stop()


@story("a record of an older version: the driver is adopted as it is")
def old_record(m):
    d = m.start()
    d.wait_ready()
    d.kill()
    m.put(RECORD, "\n".join(line.split("\t")[0] for line in m.get(RECORD).splitlines()) + "\n")
    d = m.start(configured("NVreg_EnableMSI=1"))
    d.wait_ready()
    check_equal(m.helper_log(), ORDER, "helper runs")
    d.stop()
    check_equal(m.loaded(), [], "modules after the stop")


@story("somebody else's driver: a parameter that differs is told, and it stays")
def foreign(m):
    for name in ("nvidia", "nvidia_uvm", "nvidia_modeset"):
        m.put(f"sys/module/{name}/initstate", "live\n")
        m.put(f"sys/module/{name}/refcnt", "0\n")
    put_driver(m.root)
    m.put("sys/module/nvidia/parameters/NVreg_EnableMSI", "0\n")
    d = m.start(configured("NVreg_EnableMSI=1"))
    d.wait_ready()
    check("Module nvidia, not loaded by us, has NVreg_EnableMSI=0, not 1" in d.log(), d.log())
    d.stop()
    check_equal(m.helper_log(), [], "helper runs")


main()
