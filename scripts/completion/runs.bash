# Completion of `runs` for bash. What may stand there `runs complete` knows; here are bash's ways alone.

# Sets words to those up to the cursor. Readline breaks words at characters such as = and : too, and has not taken quotes off them.
_runs_words() {
    local i part rest=${COMP_LINE:0:COMP_POINT}
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]}
        if [[ $i -eq 0 || $rest == [[:blank:]]* ]]; then
            words+=("")
            rest=${rest#"${rest%%[![:blank:]]*}"}
        fi
        [[ $i -lt $COMP_CWORD ]] || part=$rest
        words[-1]+=$part
        rest=${rest#"$part"}
    done
    words=("${words[@]//[\'\"\\]/}")
}

_runs() {
    local words word line last typed before=
    local -a candidates=()
    _runs_words
    word=${words[-1]}
    COMPREPLY=()
    if ! typed=$("${COMP_WORDS[0]}" complete "${words[@]:1}" 2>/dev/null); then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
    fi
    while IFS= read -r line; do
        [[ -z $line ]] || candidates+=("${line%%$'\t'*}")
    done <<<"$typed"
    [[ ${#candidates[@]} -gt 0 ]] || return
    # Readline puts a candidate in the place of what follows the last character at which it breaks.
    for ((last = ${#word}; last > 0; last--)); do
        if [[ ${word:last-1:1} == [=:@] && $COMP_WORDBREAKS == *"${word:last-1:1}"* ]]; then
            before=${word:0:last}
            break
        fi
    done
    for line in "${candidates[@]}"; do
        printf -v line %q "${line#"$before"}"
        # What a query has unquoted may stay so.
        COMPREPLY+=("${line//\\,/,}")
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -F _runs runs
