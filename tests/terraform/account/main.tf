# What an account's administrators keep in Terraform: people, machines, and what they may do.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.region

  # The region answers for what the provider would otherwise ask of EC2's metadata service and of AWS's list of regions.
  skip_metadata_api_check = true
  skip_region_validation  = true

  endpoints {
    iam        = var.endpoint
    sts        = var.endpoint
    cloudtrail = var.endpoint
  }
}

data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = ["dynamodb:GetItem", "dynamodb:Query"]
    resources = ["arn:aws:dynamodb:${var.region}:${data.aws_caller_identity.me.account_id}:table/${var.name}-*"]

    condition {
      test     = "ForAllValues:StringLike"
      variable = "dynamodb:LeadingKeys"
      values   = ["$${aws:username}-*"]
    }
  }

  dynamic "statement" {
    for_each = var.changed ? [1] : []
    content {
      sid       = "NoScans"
      effect    = "Deny"
      actions   = ["dynamodb:Scan"]
      resources = ["*"]
    }
  }
}

resource "aws_iam_policy" "read" {
  name        = "${var.name}-read"
  path        = "/tests/"
  description = "reads what begins with one's own name"
  policy      = data.aws_iam_policy_document.read.json
  tags        = { purpose = var.changed ? "changed" : "first" }
}

resource "aws_iam_policy" "boundary" {
  name = "${var.name}-boundary"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["dynamodb:*", "iam:ChangePassword"], Resource = "*" }]
  })
}

resource "aws_iam_user" "ann" {
  name                 = "${var.name}-ann"
  path                 = "/people/"
  permissions_boundary = var.changed ? null : aws_iam_policy.boundary.arn
  tags                 = var.changed ? { team = "red" } : { team = "blue", floor = "2" }
}

resource "aws_iam_user" "bob" {
  name          = "${var.name}-bob"
  force_destroy = var.force_destroy
}

resource "aws_iam_group" "readers" {
  name = "${var.name}-readers"
  path = "/people/"
}

resource "aws_iam_group" "writers" {
  name = "${var.name}-writers"
}

resource "aws_iam_user_group_membership" "ann" {
  user   = aws_iam_user.ann.name
  groups = var.changed ? [aws_iam_group.readers.name, aws_iam_group.writers.name] : [aws_iam_group.readers.name]
}

resource "aws_iam_group_membership" "writers" {
  name  = "${var.name}-writers"
  group = aws_iam_group.writers.name
  users = var.changed ? [aws_iam_user.ann.name, aws_iam_user.bob.name] : [aws_iam_user.bob.name]
}

resource "aws_iam_user_policy" "ann" {
  name   = "own"
  user   = aws_iam_user.ann.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = var.changed ? "s3:Get*" : "s3:GetObject", Resource = "*" }] })
}

resource "aws_iam_group_policy" "writers" {
  name   = "write"
  group  = aws_iam_group.writers.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "dynamodb:PutItem", Resource = "*" }] })
}

resource "aws_iam_user_policy_attachment" "ann" {
  user       = aws_iam_user.ann.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_group_policy_attachment" "readers" {
  group      = aws_iam_group.readers.name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

resource "aws_iam_access_key" "ann" {
  user   = aws_iam_user.ann.name
  status = var.changed ? "Inactive" : "Active"
}

resource "aws_iam_virtual_mfa_device" "ann" {
  virtual_mfa_device_name = "${var.name}-ann"
  path                    = "/people/"
  tags                    = { owner = var.changed ? "ann" : "nobody yet" }
}

data "aws_iam_policy_document" "hosts" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }

    principals {
      type        = "AWS"
      identifiers = [data.aws_caller_identity.me.account_id]
    }

    dynamic "condition" {
      for_each = var.changed ? [1] : []
      content {
        test     = "StringEquals"
        variable = "sts:ExternalId"
        values   = ["tests"]
      }
    }
  }
}

resource "aws_iam_role" "host" {
  name                  = "${var.name}-host"
  path                  = "/hosts/"
  description           = var.changed ? "for hosts and tests" : "for hosts"
  max_session_duration  = var.changed ? 7200 : 3600
  assume_role_policy    = data.aws_iam_policy_document.hosts.json
  permissions_boundary  = aws_iam_policy.boundary.arn
  force_detach_policies = true
  tags                  = { kind = "host" }
}

resource "aws_iam_role_policy" "host" {
  name   = "own"
  role   = aws_iam_role.host.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "dynamodb:*", Resource = "*" }] })
}

resource "aws_iam_role_policy_attachment" "host" {
  role       = aws_iam_role.host.name
  policy_arn = aws_iam_policy.read.arn
}

resource "aws_iam_instance_profile" "host" {
  name = "${var.name}-host"
  path = "/hosts/"
  role = aws_iam_role.host.name
  tags = { kind = var.changed ? "host" : "spare" }
}

resource "aws_iam_account_alias" "this" {
  account_alias = var.name
}
