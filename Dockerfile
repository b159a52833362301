# SPDX-License-Identifier: Apache-2.0
# The driver container. The first stage builds the programs, the second has them, the libraries they need and the
# toolchain that compiles the driver's kernel interfaces on the node.

FROM debian:bookworm-slim AS build
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gcc libc6-dev meson ninja-build pkg-config \
        libsystemd-dev libudev-dev libkmod-dev libinih-dev libjansson-dev libssl-dev libxxhash-dev libarchive-dev libcurl4-openssl-dev libblkid-dev
COPY . /src
RUN meson setup --prefix=/usr --buildtype=release -Dtests=false -Dsystemunitdir=/usr/lib/systemd/system /build /src && \
    meson compile -C /build && \
    meson install -C /build --no-rebuild --destdir /dest

FROM debian:bookworm-slim
# gcc to libelf1: a build. bc to libssl-dev: a kernel source made ready; without pahole (dwarves) it would get another
# configuration than the kernel has. kmod: chroot into this root and modprobe is part of the container's contract; so are nsenter and bash.
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libsystemd0 libudev1 libkmod2 libinih1 libjansson4 libssl3 libxxhash0 libarchive13 libcurl4 libblkid1 ca-certificates \
        gcc make binutils libc6-dev libelf1 bc bison dwarves flex libelf-dev libssl-dev kmod bash util-linux && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /dest /
# "docker run IMAGE init", as the old container was started.
ENTRYPOINT ["nvidia-driver"]
CMD ["init"]
STOPSIGNAL SIGTERM
