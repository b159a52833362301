# SPDX-License-Identifier: Apache-2.0
# bash completion for nvidia-driver; units/check compares the words with the programs.

__nvidia_driver_verbs='init status holders unload plan build update history builds toolchain explain'
__nvidia_driver_options='--help --version --json --dry-run --wait --wait= --evict --verbose --root= --config= --set= --kernel= --kernel-tree= --driver-source=
        --output= --max-threads= --jobs= --sign= --tag= --accept-license'
__nvidia_driver_settings='
        Driver.Version= Driver.Type= Driver.Source= Driver.Modules= Driver.Prerequisites= Driver.Firmware= Driver.Fallback=
        Kernel.Tree=
        Build.Jobs= Build.TimeoutSec= Build.Compiler= Build.IgnoreCompilerMismatch= Build.IgnoreConfigChanges=
        Build.DebugInfo=
        Toolchain.Root= Toolchain.Mirror= Toolchain.Checksum= Toolchain.StallSec=
        Signing.Key= Signing.Certificate= Signing.Hash= Signing.PinFile=
        Store.Directory= Store.Keep= Store.LockTimeoutSec= Store.Shared= Store.SharedTimeoutSec= Store.KeepKernels= Store.KeepTrees=
        Load.TimeoutSec= Load.DeviceTimeoutSec=
        Devices.Include= Devices.Exclude= Devices.TakeOver= Devices.CreateNodes= Devices.CreateOnHost=
        Stop.TimeoutSec= Stop.Policy= Stop.GraceSec= Stop.Kill= Stop.UnloadLostGpu=
        Watch.KernelLog= Watch.QuietSec=
        Retry.Attempts= Retry.DelaySec= Retry.MaxDelaySec=
        Services.Persistenced= Services.FabricManager= Services.Required= Services.StartTimeoutSec= Services.StopTimeoutSec=
        Services.RestartDelaySec= Services.Attempts= ServiceCommands.
        Parameters.'

# The verb on the line, if there is one already; the argument of an option is none.
__nvidia_driver_verb() {
        local i skip=
        for ((i = 1; i < COMP_CWORD; i++)); do
                if [[ $skip ]]; then
                        skip=
                        continue
                fi
                case ${COMP_WORDS[i]} in
                --*) [[ ${COMP_WORDS[i+1]-} == = ]] && i=$((i + 2)) ;;
                -o|-k|-m|-s|-t) skip=1 ;;
                -*) ;;
                *) echo "${COMP_WORDS[i]}"; return ;;
                esac
        done
}

_nvidia_driver() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words
        COMPREPLY=()

        # --option=value arrives as three words
        if [[ $cur == = ]]; then
                cur=
        elif [[ $prev == = ]] && ((COMP_CWORD >= 2)); then
                prev=${COMP_WORDS[COMP_CWORD-2]}
        fi

        case $prev in
        -k|--kernel)
                words=$(cd /lib/modules 2>/dev/null && printf '%s\n' *) ;;
        -o|--set)
                words=$__nvidia_driver_settings
                compopt -o nospace ;;
        -t|--tag)
                words= ;;
        -m|--max-threads|--jobs)
                words=$(nproc) ;;
        --kernel-tree|--output|--root)
                compopt -o filenames
                mapfile -t COMPREPLY < <(compgen -d -- "$cur")
                return ;;
        --config|--driver-source|-s|--sign)
                compopt -o filenames
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                return ;;
        *)
                if [[ $cur == -* ]]; then
                        words=$__nvidia_driver_options
                        compopt -o nospace
                else
                        case $(__nvidia_driver_verb) in
                        '') words=$__nvidia_driver_verbs ;;
                        builds) words='list show verify export import gc' ;;
                        toolchain) words=fetch ;;
                        explain) words=$(nvidia-driver explain 2>/dev/null | while read -r name _; do echo "$name"; done) ;;
                        *) words= ;;
                        esac
                fi ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        # A word that is complete gets its blank in spite of nospace.
        if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == --* && ${COMPREPLY[0]} != *= ]]; then
                COMPREPLY[0]+=' '
        fi
}

complete -F _nvidia_driver nvidia-driver
