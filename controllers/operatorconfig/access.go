package operatorconfig

import "github.com/pytorch/platform-lane-operator/controllers/access"

// Access are the settings that the lanes' IAM documents are made with.
func (c *Config) Access() access.Settings {
	s := access.Settings{
		AccountID: c.AWS.AccountID, Partition: c.AWS.Partition, Bucket: c.Storage.Bucket,
		RolePath: c.Roles.Path, RolePrefix: c.Roles.Prefix, PermissionsBoundaryARN: c.Roles.PermissionsBoundaryARN,
		GitHubIssuer: c.GitHubIssuer, SessionSeconds: c.Roles.MaxSessionSeconds,
		TrustPolicyQuota: c.Roles.TrustPolicyQuota, ImmutableUploads: access.ImmutableUploadsUnenforced,
		AccessKeysEnabled: c.AccessKeys.Mode == AccessKeysEnabled,
	}
	if c.Storage.ConditionalWrites == Supported {
		s.ImmutableUploads = access.ImmutableUploadsEnforced
	}
	for _, p := range c.OIDCProviders {
		s.Providers = append(s.Providers, access.Provider{Issuer: p.Issuer, ARN: p.ARN, Claims: p.Claims})
	}
	return s
}
