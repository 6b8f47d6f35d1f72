//! ListSigningCertificates, ListSSHPublicKeys.

use super::credential::{self, UserCredential};
use crate::iam::prelude::*;

pub struct List<C>(PhantomData<C>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl<C: UserCredential> Operation for List<C> {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = C::OPERATIONS[0].0;
    const ACTION: &'static str = C::OPERATIONS[0].1;
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let max = check::max_items(request.max_items)?;
        let user = credential::user(ctx, call, request.user_name.as_deref()).await?.record;
        let all = credential::of_user::<C>(ctx, call, &user.id).await?;
        let page = store::page(all, |one| one.id().to_owned(), request.marker.as_deref(), max);
        Ok(page.into_json(C::LIST, |one| one.shape(&user.name)))
    }
}
