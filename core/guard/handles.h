/* SPDX-License-Identifier: MIT */
/*
 * Keys as Lua holds them: userdata that core/bridge makes and gives methods, and
 * that guards take out of their descriptions.
 */
#ifndef DL_GUARD_HANDLES_H
#define DL_GUARD_HANDLES_H

#include "crypto/key.h"
#include "crypto/seal.h"

#define DL_KEY_SET_METATABLE "demilune.key_set" /* the userdata is a dl_key_set */
#define DL_SEALER_METATABLE "demilune.sealer"   /* the userdata is a dl_sealer_handle */

typedef struct dl_sealer_handle {
  dl_sealer *sealer;
} dl_sealer_handle;

#endif
