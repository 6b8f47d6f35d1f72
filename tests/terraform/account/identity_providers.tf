resource "aws_iam_openid_connect_provider" "ci" {
  count           = var.identity_providers ? 1 : 0
  url             = "https://token.${var.name}.example.com"
  client_id_list  = var.changed ? ["sts.amazonaws.com", "tests"] : ["sts.amazonaws.com"]
  thumbprint_list = [var.changed ? "2222222222222222222222222222222222222222" : "1111111111111111111111111111111111111111"]
  tags            = { kind = "ci" }
}

resource "aws_iam_role" "ci" {
  count = var.identity_providers ? 1 : 0
  name  = "${var.name}-ci"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = aws_iam_openid_connect_provider.ci[0].arn }
      Condition = { StringEquals = { "token.${var.name}.example.com:aud" = "sts.amazonaws.com" } }
    }]
  })
}
