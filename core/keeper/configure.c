/*
 * The configuration in force: read at the start, and again whenever runsfs.json changes. A broken edit keeps
 * the last good one, and is told with every fault and its place.
 *
 * Another configuration makes other runs of the same files; so all are taken out of the index and found anew.
 * The index itself stays, and with it the values of views that somebody may be in.
 */
#include "core/keeper/keeper_internal.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/manifest/file.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_plain(const struct config *config)
{
    const struct config_layout *layout = &config->layouts[0];
    for (size_t i = 0; i < layout->depth; i++)
        if (strcmp(layout->components[i], "*") != 0)
            return false;
    return config->layout_count == 1 && config->exclude_count == 0;
}

/* Takes over the reference. No run is in the index. */
static void take_over(struct keeper *keeper, struct config *config)
{
    struct run_plan *plan = run_plan_create(config), *old_plan = keeper->plan;
    pthread_mutex_lock(&keeper->notes_lock);
    keeper->plan = plan;
    pthread_mutex_unlock(&keeper->notes_lock);
    run_plan_free(old_plan);
    field_set_free(keeper->fields);
    config_unref(keeper->config);
    keeper->config = config;
    keeper->fields = field_set_create(config);
    keeper->is_plain = is_plain(config);
    query_views_configure(&keeper->views, keeper->index, keeper->plan, keeper->fields, keeper->source_name);
}

static struct file_stamp stamp_of(const struct stat *st)
{
    return (struct file_stamp){
        .ino = st->st_ino,
        .size_bytes = (uint64_t)st->st_size,
        .mtime_ns = st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec,
        .ctime_ns = st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec,
    };
}

/* Did the file change since it was last read, or could it have? */
static bool has_changed(struct keeper *keeper)
{
    struct stat st;
    struct file_stamp now = {0};
    if (fstatat(source_root_fd(keeper->source), CONFIG_FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
        now = stamp_of(&st);
    bool changed = keeper->config_was_fresh || !file_stamp_equal(&now, &keeper->config_stamp);
    keeper->config_stamp = now;
    keeper->config_was_fresh = run_stamps_are_fresh(&now, 1, run_clock_ns());
    return changed;
}

/* NULL where it is broken, of which the log is told. */
static struct config *load(struct keeper *keeper)
{
    struct config *config;
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    size_t count;
    if (config_load(source_root_fd(keeper->source), &config, faults, &count) == 0)
        return config;
    for (size_t i = 0; i < count; i++) {
        char text[sizeof(faults->reason) + 64];
        config_fault_describe(&faults[i], text, sizeof(text));
        log_error("%s", text);
    }
    if (keeper->config)
        log_error("%s: not taken over; the last good one stays in force", CONFIG_FILE_NAME);
    return NULL;
}

/* The name of the manifest of a keeper that begins with the configuration. */
static const char *manifest_name_by(const struct keeper *keeper, const struct config *config)
{
    return config->manifest_name ? config->manifest_name : manifest_file_name(source_root_fd(keeper->source));
}

void configure_begin(struct keeper *keeper)
{
    has_changed(keeper);
    struct config *config = load(keeper);
    keeper->config_is_broken = !config;
    take_over(keeper, config ? config : config_built_in());
    const char *name = manifest_name_by(keeper, keeper->config);
    keeper->manifest_name = memory_copy_text(name, strlen(name));
}

void configure_again(struct keeper *keeper)
{
    if (!has_changed(keeper))
        return;
    struct config *config = load(keeper);
    if (!config)
        return;
    if (config->text_hash ==
        keeper->config->text_hash) { /* its times have changed, or were too fresh to tell */
        config_unref(config);
        return;
    }
    if (strcmp(manifest_name_by(keeper, config), keeper->manifest_name) != 0)
        log_warning("%s: the manifest is called %s until the next start", CONFIG_FILE_NAME,
                    keeper->manifest_name);
    struct snapshot *before = snapshot_take(keeper->index);
    scan_empty(keeper);
    take_over(keeper, config);
    scan_again(keeper);
    publish_adopt_again(keeper, before);
    snapshot_unref(before);
    log_info("%s: taken over", CONFIG_FILE_NAME);
    /* What the kernel was told of views and tracked files is to be looked at again. */
    if (keeper->listener)
        keeper->listener(&(struct change){.kind = CHANGE_OVERFLOW}, keeper->listener_context);
}

void configure_end(struct keeper *keeper)
{
    run_plan_free(keeper->plan);
    field_set_free(keeper->fields);
    config_unref(keeper->config);
}
