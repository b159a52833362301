/* SPDX-License-Identifier: Apache-2.0 */

/* Texts of /proc/PID/cgroup as the runtimes make them, and some that nobody makes. */

#include "unit.h"

#include "policy/cgroup.h"

#define A      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B      "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define POD    "1b2c3d4e-5f60-4711-8899-aabbccddeeff"
#define POD_   "1b2c3d4e_5f60_4711_8899_aabbccddeeff"
#define POD2   "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
#define MIRROR "d41d8cd98f00b204e9800998ecf8427e"

static const struct {
        const char *text;
        const char *unit, *container, *pod;
} texts[] = {
        /* systemd, v2 */
        { "0::/\n", NULL, NULL, NULL },
        { "0::/init.scope\n", "init.scope", NULL, NULL },
        { "0::/system.slice/nvidia-persistenced.service\n", "nvidia-persistenced.service", NULL, NULL },
        { "0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service", NULL, NULL },
        { "0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", NULL, NULL },
        { "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "init.scope", NULL, NULL },
        { "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope\n",
                        "vte-spawn-1.scope", NULL, NULL },
        { "0::/user.slice/user-1000.slice/user@1000.service\n", "user@1000.service", NULL, NULL },
        { "0::/user.slice/user-1000.slice/user@1000.service/session.slice/org.gnome.Shell@wayland.service\n",
                        "org.gnome.Shell@wayland.service", NULL, NULL },
        { "0::/system.slice/foo.service/worker-1/bar.service\n", "foo.service", NULL, NULL },
        { "0::/system.slice/_cgroup.service\n", "cgroup.service", NULL, NULL },
        { "0::/system.slice/old.service (deleted)\n", "old.service", NULL, NULL },
        { "0::/system.slice/dbus.socket\n", "dbus.socket", NULL, NULL },
        { "0::/machine.slice/machine-debian.scope/payload/system.slice/ssh.service\n",
                        "machine-debian.scope", NULL, NULL },
        { "0::/system.slice/slurmstepd.scope/job_123/step_0/user/task_0\n", "slurmstepd.scope", NULL, NULL },
        { "0::/../../system.slice/foo.service\n", "foo.service", NULL,
                        NULL }, /* seen from another cgroup namespace */

        /* systemd, v1 and hybrid */
        { "12:pids:/system.slice/ssh.service\n11:cpuset:/\n1:name=systemd:/system.slice/ssh.service\n",
                        "ssh.service", NULL, NULL },
        { "4:memory:/user.slice\n1:name=systemd:/user.slice/user-0.slice/session-1.scope\n"
          "0::/user.slice/user-0.slice/session-1.scope\n",
                        "session-1.scope", NULL, NULL },
        { "2:cpu,cpuacct:/\n1:name=systemd:/init.scope\n0::/\n", "init.scope", NULL, NULL },

        /* docker */
        { "0::/system.slice/docker-" A ".scope\n", "docker-" A ".scope", A, NULL },
        { "0::/docker/" A "\n", NULL, A, NULL },
        { "12:devices:/docker/" A "\n1:name=systemd:/docker/" A "\n0::/system.slice/containerd.service\n",
                        "containerd.service", A, NULL },
        { "13:name=systemd:/docker/" A "\n12:pids:/docker/" A "\n", NULL, A, NULL },
        { "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" A ".scope\n",
                        "docker-" A ".scope", A, NULL },
        { "0::/../docker-" A ".scope\n", "docker-" A ".scope", A, NULL },
        { "0::/mygroup.slice/docker-" A ".scope/init\n", "docker-" A ".scope", A, NULL },
        { "0::/docker/" A "/system.slice/foo.service\n", NULL, A, NULL },
        { "0::/docker/" A "/docker/" B "\n", NULL, B, NULL }, /* docker in docker */
        { "0::/docker/buildkit/u7ckzv3nsdfw1xv4fmyemhcfs\n", NULL, NULL, NULL },
        { "9:devices:/ecs/0a1b2c3d4e5f60718293a4b5c6d7e8f9/" A "\n", NULL, A, NULL },

        /* Kubernetes: containerd, CRI-O, cri-dockerd; guaranteed pods have no class in their path */
        { "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
          ".slice/cri-containerd-" A ".scope\n",
                        "cri-containerd-" A ".scope", A, POD },
        { "0::/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" A ".scope\n",
                        "cri-containerd-" A ".scope", A, POD },
        { "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_ ".slice/crio-" A
          ".scope\n",
                        "crio-" A ".scope", A, POD },
        { "0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" A ".scope/container\n", "crio-" A ".scope",
                        A, POD },
        { "0::/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" A ".scope\n",
                        "crio-conmon-" A ".scope", NULL, POD },
        { "0::/kubepods.slice/kubepods-pod" POD_ ".slice/docker-" A ".scope\n", "docker-" A ".scope", A,
                        POD },
        { "0::/kubepods/burstable/pod" POD "/" A "\n", NULL, A, POD },
        { "0::/kubepods/pod" POD "/" A "\n", NULL, A, POD },
        { "0::/kubepods/besteffort/pod" MIRROR "/" A "\n", NULL, A, MIRROR }, /* static pod */
        { "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" MIRROR
          ".slice/cri-containerd-" A ".scope\n",
                        "cri-containerd-" A ".scope", A, MIRROR },
        { "11:devices:/kubepods/burstable/pod" POD "/" A "\n1:name=systemd:/kubepods/burstable/pod" POD "/" A
          "\n",
                        NULL, A, POD },
        { "11:memory:/kubepods.slice/kubepods-pod" POD_ ".slice/docker-" A ".scope\n"
          "1:name=systemd:/kubepods.slice/kubepods-pod" POD_ ".slice/docker-" A ".scope\n",
                        "docker-" A ".scope", A, POD },
        { "1:name=systemd:/system.slice/containerd.service/kubepods-burstable-pod" POD_
          ".slice:cri-containerd:" A "\n",
                        "containerd.service", A, POD },
        { "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
          "kubelet-kubepods-besteffort-pod" POD_ ".slice/cri-containerd-" A ".scope\n",
                        "cri-containerd-" A ".scope", A, POD },
        { "0::/docker/" B "/kubelet/kubepods/burstable/pod" POD "/" A "\n", NULL, A, POD }, /* kind */
        { "0::/system.slice/docker-" B
          ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_ ".slice/cri-containerd-" A
          ".scope\n",
                        "docker-" B ".scope", A, POD },
        { "0::/kubepods.slice/kubepods-pod" POD_ ".slice/cri-containerd-" B ".scope/docker/" A "\n",
                        "cri-containerd-" B ".scope", A, POD },
        { "0::/kubepods/pod" POD2 "/" B "/kubepods/pod" POD "/" A "\n", NULL, A, POD },
        { "0::/kubepods/burstable/pod" POD "\n", NULL, NULL, POD },
        { "0::/../../../kubepods-burstable-pod" POD_ ".slice/cri-containerd-" A ".scope\n",
                        "cri-containerd-" A ".scope", A, POD },
        { "0::/k8s.io/" A "\n", NULL, A, NULL },
        { "0::/kata_overhead/" A "\n", NULL, A, NULL },

        /* podman */
        { "0::/machine.slice/libpod-" A ".scope\n", "libpod-" A ".scope", A, NULL },
        { "0::/machine.slice/libpod-" A ".scope/container\n", "libpod-" A ".scope", A, NULL },
        { "0::/machine.slice/libpod-conmon-" A ".scope\n", "libpod-conmon-" A ".scope", NULL, NULL },
        { "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container\n",
                        "libpod-" A ".scope", A, NULL },
        { "0::/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope\n", "libpod-" A ".scope", A,
                        NULL },
        { "0::/machine.slice/machine-libpod_pod_" B ".slice\n", NULL, NULL, NULL },
        { "0::/libpod_parent/libpod-" A "\n", NULL, A, NULL },
        { "0::/system.slice/web.service/libpod-payload-" A "\n", "web.service", A, NULL }, /* quadlet */
        { "0::/default/nerdctl-" A "\n", NULL, A, NULL },

        /* LXC and LXD */
        { "0::/lxc.payload.c1\n", NULL, "c1", NULL },
        { "0::/lxc.payload.c1/system.slice/foo.service\n", NULL, "c1", NULL },
        { "0::/lxc.payload.c1/docker/" A "\n", NULL, A, NULL },
        { "9:devices:/lxc/web\n1:name=systemd:/lxc/web/init.scope\n", NULL, "web", NULL },
        { "0::/lxc.monitor.c1\n", NULL, NULL, NULL },
        { "0::/lxc.payload.\n", NULL, NULL, NULL },

        /* Nearly */
        { "", NULL, NULL, NULL },
        { "\n\n", NULL, NULL, NULL },
        { "0::\n", NULL, NULL, NULL },
        { "0:\n", NULL, NULL, NULL },
        { ":::\n", NULL, NULL, NULL },
        { "/system.slice/foo.service\n", NULL, NULL, NULL },
        { "0::relative/foo.service\n", NULL, NULL, NULL },
        { "0::/.service\n", NULL, NULL, NULL },
        { "0::/docker/0123456789abcdef\n", NULL, NULL, NULL },
        { "0::/docker/x" A "\n", NULL, NULL, NULL },
        { "0::/docker/" A "0\n", NULL, NULL, NULL },
        { "0::/kubepods/podXYZ/" A "\n", NULL, A, NULL },
        { "0::/kubepods/pod" POD "x/" A "\n", NULL, A, NULL },
        { "0::/kubepods/pod\n", NULL, NULL, NULL },
        { "0::/kubepods/pod1b2c3d4e-5f60\n", NULL, NULL, NULL },
        { "0::/tripod" MIRROR "\n", NULL, NULL, NULL },
        { "0::/a:b/system.slice/x.service\n", NULL, NULL, NULL },
        { "0::/no newline at the end/docker/" A, NULL, A, NULL },
};

static void check(const char *what, const char *is, const char *wanted)
{
        if (!is || !wanted)
                ck_assert_msg(is == wanted, "%s is %s", what, is ? is : "nothing");
        else
                ck_assert_msg(strcmp(is, wanted) == 0, "%s is %s", what, is);
}

START_TEST(test_parse)
{
        _cleanup_(holder_home_done) HolderHome home = {};

        ck_assert_int_eq(cgroup_parse(texts[_i].text, &home), 0);
        check("unit", home.unit, texts[_i].unit);
        check("container", home.container, texts[_i].container);
        check("pod", home.pod, texts[_i].pod);
}
END_TEST

/* This very process. */
START_TEST(test_own)
{
        _cleanup_(holder_home_done) HolderHome home = {};
        _cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
        char text[16384] = "";

        if (f)
                ck_assert_uint_lt(fread(text, 1, sizeof(text) - 1, f), sizeof(text) - 1);
        ck_assert_int_eq(cgroup_parse(text, &home), 0);
}
END_TEST

UNIT_MAIN("cgroup", UNIT_LOOP(test_parse, ELEMENTSOF(texts)), UNIT_TEST(test_own))
