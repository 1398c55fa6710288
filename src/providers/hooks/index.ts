import { adobeUmapi } from './adobe-umapi.ts';
import { apollo } from './apollo.ts';
import { atlassian } from './atlassian.ts';
import { attio } from './attio.ts';
import { awsIdentity } from './aws-identity.ts';
import { azureDevops } from './azure-devops.ts';
import { basecamp } from './basecamp.ts';
import { bitdefender } from './bitdefender.ts';
import { bullhorn } from './bullhorn.ts';
import { calendly } from './calendly.ts';
import { candis } from './candis.ts';
import { cdw } from './cdw.ts';
import { checkrPartner } from './checkr-partner.ts';
import { docusign } from './docusign.ts';
import { expensify } from './expensify.ts';
import { googleCalendar, googleMail } from './google.ts';
import { gusto } from './gusto.ts';
import { highlevel } from './highlevel.ts';
import type { DeletionHook, PostConnectionHook, VerificationScript } from './hook.ts';
import { hubspot, hubspotDeletion } from './hubspot.ts';
import { intercomDeletion } from './intercom.ts';
import { jobber } from './jobber.ts';
import { lastpass } from './lastpass.ts';
import { linear, linearDeletion } from './linear.ts';
import { mailchimp } from './mailchimp.ts';
import { microsoftTenant } from './microsoft.ts';
import { oneloginDeletion } from './onelogin.ts';
import { procore } from './procore.ts';
import { pushpayChmsV1 } from './pushpay-chms-v1.ts';
import { ripplingShopApp } from './rippling-shop-app.ts';
import { sage200 } from './sage-200.ts';
import { sellsy } from './sellsy.ts';
import { sentryOauth } from './sentry-oauth.ts';
import { skio } from './skio.ts';
import { snipeIt } from './snipe-it.ts';
import { snowflake } from './snowflake.ts';
import { sophosCentral } from './sophos-central.ts';
import { vantageApparel } from './vantage-apparel.ts';
import { workable } from './workable.ts';
import { xero } from './xero.ts';
import { zoho } from './zoho.ts';

const nothing: PostConnectionHook = () => Promise.resolve({});

/** By the name an entry gives in `post_connection_script`. */
export const postConnectionHooks: ReadonlyMap<string, PostConnectionHook> = new Map(
    Object.entries({
        adobeUmapiPostConnection: adobeUmapi,
        atlassianGovernmentCloudPostConnection: atlassian,
        atlassianServicAccountPostConnection: atlassian,
        attioPostConnection: attio,
        basecampPostConnection: basecamp,
        bullhornPostConnection: bullhorn,
        calendlyPostConnection: calendly,
        candisPostConnection: candis,
        checkrPartnerPostConnection: checkrPartner,
        docusignPostConnection: docusign,
        // The mode CUSTOM obtains the user's handle and credentials while it connects.
        githubAppOauthPostConnection: nothing,
        googleCalendarPostConnection: googleCalendar,
        googleMailPostConnection: googleMail,
        gustoPostConnection: gusto,
        highlevelPostConnection: highlevel,
        hubspotPostConnection: hubspot,
        jiraPostConnection: atlassian,
        jobberPostConnection: jobber,
        linearPostConnection: linear,
        mailchimpPostConnection: mailchimp,
        // The second tokens of these two are obtained and renewed by their token exceptions, beside the first.
        microsoftTeamsBotPostConnection: microsoftTenant,
        onedrivePostConnection: microsoftTenant,
        microsoftTeamsPostConnection: microsoftTenant,
        procorePostConnection: procore,
        ripplingShopAppPostConnection: ripplingShopApp,
        sage200PostConnection: sage200,
        // The token answer has all there is.
        salesforcePostConnection: nothing,
        sellsyPostConnection: sellsy,
        sentryOauthPostConnection: sentryOauth,
        snowflakePostConnection: snowflake,
        sophosCentralPostConnection: sophosCentral,
        workablePostConnection: workable,
        xeroPostConnection: xero,
        zohoPostConnection: zoho,
    } satisfies Record<string, PostConnectionHook>),
);

/** By the name an entry gives in `pre_connection_deletion_script`. */
export const deletionHooks: ReadonlyMap<string, DeletionHook> = new Map(
    Object.entries({
        hubspotPreConnectionDeletion: hubspotDeletion,
        intercomPreConnectionDeletion: intercomDeletion,
        linearPreConnectionDeletion: linearDeletion,
        oneloginPreConnectionDeletion: oneloginDeletion,
    } satisfies Record<string, DeletionHook>),
);

/** By the name an entry gives in `credentials_verification_script`. */
export const verificationScripts: ReadonlyMap<string, VerificationScript> = new Map(
    Object.entries({
        apolloCredentialsVerification: apollo,
        awsIamCredentialsVerification: awsIdentity,
        azureDevopsCredentialsVerification: azureDevops,
        bitdefenderCredentialsVerification: bitdefender,
        cdwCredentialsVerification: cdw,
        expensifyCredentialsVerification: expensify,
        lastpassCredentialsVerification: lastpass,
        pushpayChmsV1CredentialsVerification: pushpayChmsV1,
        skioCredentialsVerification: skio,
        snipeItCredentialsVerification: snipeIt,
        vantageApparelCredentialsVerification: vantageApparel,
    } satisfies Record<string, VerificationScript>),
);
