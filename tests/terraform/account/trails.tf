resource "aws_cloudtrail" "all" {
  count                         = var.trails ? 1 : 0
  name                          = "${var.name}-all"
  s3_bucket_name                = "${var.name}-trail"
  s3_key_prefix                 = "tests"
  include_global_service_events = true
  is_multi_region_trail         = var.changed
  enable_log_file_validation    = true
  enable_logging                = !var.changed
  tags                          = { purpose = var.changed ? "changed" : "first" }

  event_selector {
    read_write_type           = "All"
    include_management_events = true

    data_resource {
      type   = "AWS::DynamoDB::Table"
      values = ["arn:aws:dynamodb:${var.region}:${data.aws_caller_identity.me.account_id}:table/${var.name}-orders"]
    }
  }
}
