
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
    local current=${words[at]} joined
    [[ $typed == [\'\"]* ]] && current=$2
    joined=${current%"${2//\\/}"}
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$at
    _clap_complete_aiozfs "$1" "$current" "$3"
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]=${COMPREPLY[i]#"$joined"}
        if [[ $typed != [\'\"]* ]]; then
            printf -v "COMPREPLY[$i]" %q "${COMPREPLY[i]}"
        # Bash puts it between the user's quotes as it is. These characters would end them there, or run a command that
        # an archive names.
        elif [[ ${COMPREPLY[i]} == *[\'\"\$\`\\!]* || ${COMPREPLY[i]} == *[[:cntrl:]]* ]]; then
            unset "COMPREPLY[$i]"
        fi
    done
}
_aiozfs_how=$(complete -p aiozfs)
eval "${_aiozfs_how/_clap_complete_aiozfs/_aiozfs}"
unset _aiozfs_how
