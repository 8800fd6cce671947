/* image_name.h: references to container images ("registry:5000/a/b:tag@sha256:…"), by
 * distribution's grammar. */
#ifndef SAMPAN_VALIDATION_IMAGE_NAME_H
#define SAMPAN_VALIDATION_IMAGE_NAME_H

#include "base/base.h"

/* Whether the image is looked up anew each time: no tag and no digest, or the tag "latest". False
 * for what is no reference. */
bool image_is_latest(struct str image);

#endif
