package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const long = `Keep platform lanes: who may publish, what exactly they may write, and how to
stop them.

Flags go behind the command: kubectl lane suspend spyre … -n vendor-ibm.

For completion, link this program as kubectl_complete-lane into a folder of the
PATH: ln -s "$(command -v kubectl-lane)" /usr/local/bin/kubectl_complete-lane`

func newCommand(streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-lane",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl lane"},
		Short:         "Keep platform lanes",
		Long:          long,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	// Typed alone it shows the help; that is no usage worth a line of its own.
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if and .Runnable .HasParent}}", 1))
	root.SuggestionsMinimumDistance = 2
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help", Run: func(*cobra.Command, []string) {}})
	root.AddCommand(
		newSuspend(streams),
		newResume(streams),
		newExplain(streams),
		newRender(streams),
		newBootstrap(streams),
		newIndex(streams),
	)
	return root
}

// unknownCommand says what there is instead.
func unknownCommand(cmd *cobra.Command, typed string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := ""
	if similar := cmd.SuggestionsFor(typed); len(similar) > 0 {
		hint = "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return fmt.Errorf("there is no command %q%s (the commands are %s; see %s --help)", typed, hint, strings.Join(names, ", "), cmd.CommandPath())
}
