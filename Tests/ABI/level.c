/* SPDX-License-Identifier: Apache-2.0
 *
 * level: prints the CPU level in use, for Tests/run, which cannot load the library into itself under an emulator.
 */
#include <xent.h>

#include <stdio.h>

int main(void) { return puts(xent_cpu_level()) < 0; }
