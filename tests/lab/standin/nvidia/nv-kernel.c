// SPDX-License-Identifier: GPL-2.0
/* The core object of nvidia.ko: stands for NVIDIA's nv-kernel.o_binary. No kernel header here, that is the point of it. */
unsigned int standin_core_answer(unsigned int question);

unsigned int standin_core_answer(unsigned int question)
{
	return question ^ 535;
}
