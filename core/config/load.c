/*
 * Reading runsfs.json from a source: nothing but a regular file, no more than it can sensibly be. Where there
 * is none, the built-in configuration is the source's.
 */
#include "core/config/config_internal.h"

#include "core/run/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void describe_error(struct config_fault *fault, int error)
{
    const char *description = strerrordesc_np(error);

    *fault = (struct config_fault){0};
    if (error == EFBIG)
        snprintf(fault->reason, sizeof(fault->reason), "is larger than %u MiB", LIMIT_CONFIG_BYTES >> 20);
    else if (error == EINVAL || error == ELOOP)
        snprintf(fault->reason, sizeof(fault->reason), "is no regular file");
    else
        snprintf(fault->reason, sizeof(fault->reason), "can't be read: %s",
                 description ? description : "unknown error");
}

int config_load(int directory_fd, struct config **config, struct config_fault *faults, size_t *fault_count)
{
    struct buffer text = {0};
    int result = file_read_bounded(directory_fd, CONFIG_FILE_NAME, LIMIT_CONFIG_BYTES, &text, NULL);

    *config = NULL;
    *fault_count = 0;
    if (result == 0) {
        result = config_parse(buffer_slice(&text), config, faults, fault_count);
        if (result == 0)
            (*config)->text_hash = text_hash(buffer_slice(&text));
    } else if (result == -ENOENT) {
        *config = config_built_in();
        result = 0;
    } else {
        describe_error(&faults[0], -result);
        *fault_count = 1;
    }
    buffer_free(&text);
    return result;
}
