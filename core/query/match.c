/*
 * Does a run match? Values are compared as what their fields are: texts by their bytes, numbers and times as
 * such.
 */
#include "core/query/query_internal.h"
#include "core/base/glob.h"
#include <string.h>

static bool starts_with(struct slice text, struct slice part)
{
    return text.length >= part.length && memcmp(text.bytes, part.bytes, part.length) == 0;
}

static bool ends_with(struct slice text, struct slice part)
{
    return text.length >= part.length &&
           memcmp(text.bytes + text.length - part.length, part.bytes, part.length) == 0;
}

static bool equals(const struct field *field, const struct field_value *value, const struct operand *operand)
{
    if (field->type != FIELD_TEXT && value->is_number && operand->is_number)
        return value->number == operand->number;
    return field->type != FIELD_NUMBER && slice_equal(value->text, operand->text);
}

static bool compare_operand(const struct predicate *predicate, const struct field_value *value,
                            const struct operand *operand)
{
    switch (predicate->kind) {
    case PREDICATE_EQUALS:
        return equals(predicate->field, value, operand);
    case PREDICATE_MIN:
        return value->is_number && value->number >= operand->number;
    case PREDICATE_MAX:
        return value->is_number && value->number <= operand->number;
    case PREDICATE_STARTS:
        return starts_with(value->text, operand->text);
    case PREDICATE_ENDS:
        return ends_with(value->text, operand->text);
    case PREDICATE_CONTAINS:
        return memmem(value->text.bytes, value->text.length, operand->text.bytes, operand->text.length);
    case PREDICATE_GLOB:
        return glob_match(operand->text, value->text);
    case PREDICATE_HAS:
        break;
    }
    return false;
}

static bool holds(const struct predicate *predicate, const struct run *run, struct buffer *scratch)
{
    bool with_text = predicate->kind >= PREDICATE_STARTS && predicate->kind <= PREDICATE_GLOB;
    struct field_value value = field_value_of(predicate->field, run, with_text, scratch);
    if (predicate->kind == PREDICATE_HAS)
        return value.is_present != predicate->is_negated;
    bool found = false;
    for (size_t i = 0; value.is_present && i < predicate->operand_count && !found; i++)
        found = compare_operand(predicate, &value, &predicate->operands[i]);
    return found != predicate->is_negated;
}

bool query_matches(struct query *query, const struct run *run)
{
    for (size_t i = 0; i < query->predicate_count; i++)
        if (!holds(&query->predicates[i], run, &query->scratch))
            return false;
    return true;
}
