package main

import (
	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

func (c *createYank) addCompletion(cmd *cobra.Command) {
	words := make([]string, len(modes))
	for i, m := range modes {
		words[i] = cobra.CompletionWithDesc(string(m.mode), m.does)
	}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"mode":    plugin.Fixed(words...),
		"channel": plugin.Fixed(channelNames()...),
		"dry-run": plugin.Fixed(plugin.DryRunNone, plugin.DryRunClient, plugin.DryRunServer),
		"lane":    plugin.Lane(c.config),
	} {
		utilruntime.Must(cmd.RegisterFlagCompletionFunc(flag, complete))
	}
	plugin.CompleteNamespaces(cmd, c.config)
}
