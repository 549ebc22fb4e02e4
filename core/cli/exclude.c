/*
 * Editing the configuration of a source: see exclude.h. What somebody laid out by hand stays as it is.
 */
#include "core/cli/exclude.h"
#include "core/cli/replace.h"
#include "core/config/config.h"
#include <errno.h>
#include <string.h>

static const char *describe(int error)
{
    switch (error) {
    case -EBADMSG:
        return "is no valid configuration, runs check says why";
    case -ENOSPC:
        return "excludes as many as it can";
    case -EINVAL:
        return "is no regular file";
    default:
        return strerrordesc_np(-error);
    }
}

/* Adds the paths one after the other; text is replaced. */
static int add_paths(struct buffer *text, bool is_absent, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buffer edited = {0};
        struct slice old = is_absent ? SLICE_ABSENT : buffer_slice(text);
        int error = config_text_with_exclude(old, paths[i], &edited);
        if (error == 0) {
            buffer_free(text);
            *text = edited;
            is_absent = false;
            continue;
        }
        buffer_free(&edited);
        if (error != -EEXIST)
            return error;
    }
    return 0;
}

enum cli_status exclude_paths(int source_fd, const char *source_path, const char *const *paths, size_t count)
{
    struct buffer text = {0};
    int error = file_read_bounded(source_fd, CONFIG_FILE_NAME, LIMIT_CONFIG_BYTES, &text, NULL);
    bool is_absent = error == -ENOENT;
    if (error == 0 || is_absent)
        error = add_paths(&text, is_absent, paths, count);
    if (error == 0)
        error = replace_file(source_fd, CONFIG_FILE_NAME, buffer_slice(&text));
    buffer_free(&text);
    if (error == 0)
        return CLI_OK;
    cli_error("%s/" CONFIG_FILE_NAME ": %s; it is as it was: mend that and run this again", source_path,
              describe(error));
    return CLI_ERROR;
}
