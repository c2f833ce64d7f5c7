package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/job"
)

// publish plays the vendor's upload job for one small wheel.
func publish(ctx context.Context, dir string, args []string, out io.Writer) error {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("say what to publish: publish NAMESPACE/LANE PACKAGE==VERSION [nightly|test|release]")
	}
	namespace, name, ok1 := strings.Cut(args[0], "/")
	project, version, ok2 := strings.Cut(args[1], "==")
	if !ok1 || !ok2 {
		return fmt.Errorf("%q is not NAMESPACE/LANE, or %q not PACKAGE==VERSION", args[0], args[1])
	}
	channel := v1alpha1.ChannelRelease
	if len(args) == 3 {
		channel = v1alpha1.ChannelName(args[2])
	}
	info, err := loadInfo(dir)
	if err != nil {
		return err
	}
	lane, err := readLane(ctx, info, client.ObjectKey{Namespace: namespace, Name: name})
	if err != nil {
		return err
	}
	wheel := wheeltest.Wheel{Project: project, Version: strings.TrimSuffix(version, "+"+lane.Spec.Platform) + "+" + lane.Spec.Platform}
	data, err := wheel.Bytes()
	if err != nil {
		return err
	}
	claims := job.ClaimsOf(lane)
	if claims.Repository == "" {
		return fmt.Errorf("lane %s has no gitHubActions publisher, and this plays no other job", args[0])
	}
	session, err := job.Assume(ctx, info, lane.Status.Role.ARN, claims)
	if err != nil {
		return fmt.Errorf("assume %s: %w", lane.Status.Role.ARN, err)
	}
	key := layout.WheelPrefix(lane.Spec.Platform, channel) + wheel.Filename()
	if err := session.Put(ctx, key, data); err != nil {
		return err
	}
	fmt.Fprintf(out, "uploaded %s as %s\nit is listed in a moment: %s\n", key, lane.Status.Role.ARN, layout.IndexURL(info.CDNURL, lane.Spec.Platform, channel)+project+"/")
	return nil
}

func readLane(ctx context.Context, info *sandbox.Info, key client.ObjectKey) (*v1alpha1.PlatformLane, error) {
	config, err := clientcmd.BuildConfigFromFlags("", info.Kubeconfig)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	lane := &v1alpha1.PlatformLane{}
	if err := c.Get(ctx, key, lane); err != nil {
		return nil, err
	}
	if len(lane.Spec.Publishers) == 0 || lane.Status.Role.ARN == "" {
		return nil, fmt.Errorf("lane %s has no publisher or no role yet; see kubectl describe lane", key)
	}
	return lane, nil
}
