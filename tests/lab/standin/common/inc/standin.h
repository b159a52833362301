/* SPDX-License-Identifier: GPL-2.0 */
/* What the stand-in's modules offer each other; the shape of the dependencies is that of the real driver. */
#ifndef STANDIN_H
#define STANDIN_H

struct pci_dev;

#define STANDIN_MAX_GPUS 32

/* nvidia.ko */
int nvidia_standin_get_gpu(unsigned int index, struct pci_dev **ret);   /* 0, or -ENODEV past the last; drop with pci_dev_put() */
void nvidia_standin_wait(unsigned int ms);

/* nvidia-modeset.ko */
int nvidia_modeset_standin_version(void);

/* The core objects, compiled without any kernel header, as NVIDIA's are. */
unsigned int standin_core_answer(unsigned int question);
unsigned int standin_modeset_core_answer(unsigned int question);

#endif
