/* plugins.h: the admission plugins, one file each. registry.c puts them in order. */
#ifndef SAMPAN_ADMISSION_PLUGINS_H
#define SAMPAN_ADMISSION_PLUGINS_H

#include "apiserver/admission.h"

extern const struct admission_plugin admission_namespace_lifecycle;

#endif
