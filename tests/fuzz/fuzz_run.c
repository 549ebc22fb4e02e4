/*
 * From any bytes to fields: the input is metrics.json and, behind the first byte 0xff (which no JSON holds),
 * metadata.json. A faulty file counts as an absent one.
 */
#include "core/base/limits.h"
#include "core/run/fields.h"
#include "core/run/load.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_fault(const struct run_fault *fault, struct slice content)
{
    char text[200];

    require(!fault->reason || content.bytes);
    require((fault->line != 0) == (fault->reason && content.length));
    run_fault_describe(fault, text, sizeof(text));
    require(strlen(text) < sizeof(text) - 1);
}

/* With fields of its own that look into objects and arrays. */
static const struct run_plan *plan(void)
{
    static struct run_plan *made;
    struct config_fault faults[CONFIG_FAULTS_AT_MOST];
    struct config *config;
    size_t count;
    if (made)
        return made;
    require(
        config_parse(
            SLICE_LITERAL(
                "{\"fields\": {"
                "\"model\": [\"metrics.json#/a/b\", \"metrics.json#/a/1\", \"metrics.json#/a\"],"
                "\"cost\": {\"from\": \"metrics.json#/c\", \"type\": \"number\"},"
                "\"at\": {\"from\": [\"metrics.json#/c\", \"metadata.json#/a/0/b\"], \"type\": \"epoch\"}}}"),
            &config, faults, &count) == 0);
    made = run_plan_create(config);
    config_unref(config);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *separator = size ? memchr(data, 0xff, size) : NULL;
    struct slice metrics = {(const char *)data, separator ? (size_t)(separator - data) : size};
    struct slice metadata = SLICE_ABSENT;
    struct run_fields fields, of_sound_files;
    struct run_fault faults[2];

    if (separator)
        metadata = (struct slice){(const char *)separator + 1, size - metrics.length - 1};
    int result = run_fields_derive(plan(), (struct slice[]){metrics, metadata}, &fields, faults);
    require((result < 0) == (faults[0].reason || faults[1].reason));
    require(fields.status.bytes && fields.tokens_in <= LIMIT_COUNT && fields.tokens_out <= LIMIT_COUNT);
    check_fault(&faults[0], metrics);
    check_fault(&faults[1], metadata);
    if (faults[0].reason)
        metrics = SLICE_ABSENT;
    if (faults[1].reason)
        metadata = SLICE_LITERAL("{}");
    require(run_fields_derive(plan(), (struct slice[]){metrics, metadata}, &of_sound_files, faults) == 0);
    require(run_fields_equal(&fields, &of_sound_files));
    run_fields_free(&fields);
    run_fields_free(&of_sound_files);
    return 0;
}
