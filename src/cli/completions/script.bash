
# Bash divides words at colons, as in URLs, and gives them with the user's backslashes; it takes completions as they are.
# So this joins words, removes backslashes, and quotes completions.
_aiozfs() {
    local typed=${COMP_WORDS[COMP_CWORD]} words=() at=$COMP_CWORD i
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        if ((i > 0)) && [[ ${COMP_WORDS[i]} == : || ${COMP_WORDS[i - 1]} == : ]]; then
            words[${#words[@]} - 1]+=${COMP_WORDS[i]}
            ((i <= COMP_CWORD)) && ((at -= 1))
        else
            words+=("${COMP_WORDS[i]}")
        fi
    done
    words=("${words[@]//\\/}")
    local current=${words[at]} joined name quoted
    [[ $typed == [\'\"]* ]] && current=$2
    joined=${current%"${2//\\/}"}
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$at
    _clap_complete_aiozfs "$1" "$current" "$3"
    # Names of an archive must never become commands. Bash puts a completion as it is behind a quote that the user has
    # opened: these characters would end the quote there, or begin a command. %q has a quote of its own, $'...', for
    # control characters.
    for i in "${!COMPREPLY[@]}"; do
        name=${COMPREPLY[i]#"$joined"}
        printf -v quoted %q "$name"
        if [[ $typed == [\'\"]* && $name == *[[:cntrl:]\'\"\$\`\\!]* || $typed == *[\'\"]* && $quoted == \$* ]]; then
            unset "COMPREPLY[$i]"
        elif [[ $typed == [\'\"]* ]]; then
            COMPREPLY[i]=$name
        else
            COMPREPLY[i]=$quoted
        fi
    done
}
_aiozfs_how=$(complete -p aiozfs)
eval "${_aiozfs_how/_clap_complete_aiozfs/_aiozfs}"
unset _aiozfs_how
