"""What provisioning takes from elsewhere, made here: NVIDIA's files, a package repository, a source, and their servers.

Everything behaves as the real thing does where a role can notice; nothing holds anything of NVIDIA's.
"""
