/* SPDX-License-Identifier: Apache-2.0
 * The header of the installed library, or in a checkout that one's. */
#if __has_include(<xent.h>)
#include <xent.h>
#else
#include "../../../../Include/xent.h"
#endif
