package plugin

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
)

// completionTimeout bounds how long a Tab may take.
const completionTimeout = 3 * time.Second

// Fixed completes to words that are known beforehand, in any case.
func Fixed(words ...string) cobra.CompletionFunc {
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

// Lane completes to the lanes of the chosen namespace.
func Lane(flags *genericclioptions.ConfigFlags) cobra.CompletionFunc {
	return asked(flags, func(ctx context.Context, k *Cluster) ([]string, error) {
		namespace, err := Namespace(flags)
		if err != nil {
			return nil, err
		}
		return k.Lanes(ctx, namespace)
	})
}

// One is a completion for the first argument alone.
func One(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, typed)
	}
}

// CompleteNamespaces completes a command's flag --namespace.
func CompleteNamespaces(cmd *cobra.Command, flags *genericclioptions.ConfigFlags) {
	utilruntime.Must(cmd.RegisterFlagCompletionFunc("namespace", asked(flags, func(ctx context.Context, k *Cluster) ([]string, error) {
		return k.Namespaces(ctx)
	})))
}

// asked completes to names that the cluster knows.
func asked(flags *genericclioptions.ConfigFlags, names func(context.Context, *Cluster) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		cluster, err := Connect(flags)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		known, err := names(ctx, cluster)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var out []string
		for _, name := range known {
			if strings.HasPrefix(name, typed) {
				out = append(out, name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
