
# Bash divides words also at the characters in COMP_WORDBREAKS, such as ':' in URLs and '=' in options, and gives them
# with the user's quotes and backslashes. A completion takes the place of $2, the end of the word, as it is.
# So this joins words, removes quotes and backslashes, and quotes completions.

# Sets plain to a word without quotes and backslashes, and quote to the quote that the word leaves open.
_aiozfs_plain() {
    local word=$1 i char
    plain='' quote=''
    for ((i = 0; i < ${#word}; i++)); do
        char=${word:i:1}
        case $quote$char in
            \'\' | \"\") quote='' ;;
            \"\\)
                ((i += 1))
                char=${word:i:1}
                [[ $char == [\"\$\`\\] ]] || plain+=\\
                plain+=$char
                ;;
            \'? | \"?) plain+=$char ;;
            \' | \") quote=$char ;;
            \\)
                ((i += 1))
                plain+=${word:i:1}
                ;;
            *) plain+=$char ;;
        esac
    done
}

_aiozfs() {
    local words=() rest=$COMP_LINE at typed i word behind plain quote
    for i in "${!COMP_WORDS[@]}"; do
        word=${COMP_WORDS[i]}
        # Nothing is between them in the line.
        if ((i > 0)) && [[ -n $word && $rest == "$word"* ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        rest=${rest#*"$word"}
        if ((i == COMP_CWORD)); then
            ((at = ${#words[@]} - 1, behind = ${#COMP_LINE} - ${#rest} - COMP_POINT))
            typed=${words[at]}
            ((behind > 0)) && typed=${typed:0:${#typed} - behind}
        fi
    done
    COMPREPLY=()
    [[ $typed == *"$2" ]] || return
    _aiozfs_plain "${typed%"$2"}"
    local kept=$plain open=$quote name quoted
    for i in "${!words[@]}"; do
        _aiozfs_plain "${words[i]}"
        words[i]=$plain
    done
    _aiozfs_plain "$typed"
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$at
    _clap_complete_aiozfs "$1" "$plain" "$3"
    # Names of an archive must never become commands. Bash puts a completion as it is behind a quote that the user has
    # opened: these characters would end the quote there, or begin a command. %q has a quote of its own, $'...', for
    # control characters.
    for i in "${!COMPREPLY[@]}"; do
        name=${COMPREPLY[i]#"$kept"}
        printf -v quoted %q "$name"
        if [[ $open && $name == *[[:cntrl:]\'\"\$\`\\!]* || $typed == *[\'\"]* && $quoted == \$* ]]; then
            unset "COMPREPLY[$i]"
        elif [[ $open ]]; then
            COMPREPLY[i]=$name
        else
            COMPREPLY[i]=$quoted
        fi
    done
}
_aiozfs_how=$(complete -p aiozfs)
eval "${_aiozfs_how/_clap_complete_aiozfs/_aiozfs}"
unset _aiozfs_how
