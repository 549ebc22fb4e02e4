/*
 * Any bytes as runsfs.json: they are refused with faults that have a place and are printable, or they are a
 * configuration that can be asked anything and to which a path can be added.
 */
#include "core/base/limits.h"
#include "core/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_faults(const struct config_fault *faults, size_t fault_count)
{
    require(fault_count > 0 && fault_count <= CONFIG_FAULTS_AT_MOST);
    for (size_t i = 0; i < fault_count; i++) {
        require(faults[i].line > 0 && faults[i].column > 0);
        require(i == 0 || faults[i - 1].line <= faults[i].line);
        require(faults[i].reason[0] && strlen(faults[i].reason) < sizeof(faults[i].reason) - 1);
        for (struct slice rest = slice_of(faults[i].reason); rest.length;) {
            uint32_t code_point;
            size_t length = utf8_decode(rest, false, &code_point);

            require(length > 0 && code_point >= 0x20 && code_point != 0x7f);
            rest = (struct slice){rest.bytes + length, rest.length - length};
        }
    }
}

static void check_parts(const struct config *config)
{
    require(config->layout_count > 0 && config_greatest_depth(config) <= LIMIT_CONFIG_DEPTH);
    require(config->field_count >= CONFIG_BUILT_IN_FIELDS && config->field_count <= LIMIT_CONFIG_FIELDS);
    require(config->exclude_plain_count <= config->exclude_count);
    require(config_leads_to_runs(config, ""));
    for (size_t i = 0; i < config->field_count; i++) {
        require(config_find_field(config, slice_of(config->fields[i].name)) == (int)i);
        for (size_t j = 0; j < config->fields[i].source_count; j++)
            require(config->fields[i].sources[j].file < config->file_count &&
                    config->fields[i].sources[j].step_count > 0);
    }
    for (size_t i = 0; i < config->exclude_plain_count; i++)
        require(config_is_excluded(config, config->exclude[i]));
    for (size_t i = 0; i < config->tracked_count; i++)
        config_is_tracked(config, config->tracked[i]);
    for (size_t i = 0; i < config->file_count; i++) {
        config_is_run_path(config, config->files[i]);
        config_is_excluded(config, config->files[i]);
    }
}

static void check_edit(struct slice text, const struct config *config)
{
    static const char path[] = "a*\xff/b[\\";
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    struct buffer new_text = {0};
    struct config *edited;
    size_t fault_count;
    int result = config_text_with_exclude(text, path, &new_text);

    if (config_is_excluded(config, path)) {
        require(result == -EEXIST);
    } else if (config->exclude_count < LIMIT_CONFIG_EXCLUDE) {
        require(result == 0 && new_text.length > text.length);
        require(config_parse(buffer_slice(&new_text), &edited, faults, &fault_count) == 0);
        require(config_is_excluded(edited, path) && edited->exclude_count == config->exclude_count + 1);
        require(edited->fingerprint == config->fingerprint && edited->view_count == config->view_count);
        config_unref(edited);
    }
    buffer_free(&new_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    struct config *config;
    size_t fault_count;

    if (!data)
        text.bytes = "";
    if (config_parse(text, &config, faults, &fault_count) < 0) {
        check_faults(faults, fault_count);
        return 0;
    }
    require(fault_count == 0);
    check_parts(config);
    check_edit(text, config);
    config_unref(config);
    return 0;
}
