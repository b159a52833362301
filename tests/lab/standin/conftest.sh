#!/bin/sh
# NVIDIA's source asks the kernel hundreds of questions with a script of this name. This driver has none, but it is part of the layout.
exit 0
