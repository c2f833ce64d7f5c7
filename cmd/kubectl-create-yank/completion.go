package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// completionTimeout bounds how long a Tab may take.
const completionTimeout = 3 * time.Second

func (c *createYank) addCompletion(cmd *cobra.Command) {
	words := make([]string, len(modes))
	for i, m := range modes {
		words[i] = cobra.CompletionWithDesc(string(m.mode), m.does)
	}
	for flag, complete := range map[string]cobra.CompletionFunc{
		"mode":    fixed(words...),
		"channel": fixed(channelNames()...),
		"dry-run": fixed(dryRunNone, dryRunClient, dryRunServer),
		"lane":    c.completeLane,
	} {
		utilruntime.Must(cmd.RegisterFlagCompletionFunc(flag, complete))
	}
}

func fixed(words ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, word := range words {
			if len(word) >= len(typed) && strings.EqualFold(word[:len(typed)], typed) {
				out = append(out, word)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeLane asks the cluster for the namespace's lanes.
func (c *createYank) completeLane(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	namespace, _, err := c.config.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	cluster, err := c.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	lanes, err := cluster.lanes(ctx, namespace)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, lane := range lanes {
		if strings.HasPrefix(lane, typed) {
			out = append(out, lane)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
