//! Records that are read whole: what is there of each module, and what is not.

use super::{
    documented::{hold, read},
    *,
};

/// What real records have, by module.
const KEYS: [(&str, &str); 8] = [
    (
        "Notes",
        "$attachments $editable $field_states $is_shared_to_client $se_module $size $state \
         $voice_note Created_By Created_Time Modified_By Modified_Time Note_Content Note_Title \
         Owner Parent_Id id",
    ),
    (
        "Contacts",
        "$approval $approval_state $approved $currency_symbol $editable $field_states $in_merge \
         $is_duplicate $layout_id $locked_for_me $orchestration $pathfinder $process_flow $review \
         $review_process $sharing_permission $state $wizard_connection_path $zia_owner_assignment \
         $zia_visions Account_Name Assistant Asst_Phone Created_By Created_Time Date_of_Birth \
         Department Description Email Email_Opt_Out Fax First_Name Full_Name Home_Phone \
         Last_Activity_Time Last_Name Lead_Source Locked__s Mailing_Address Mailing_City \
         Mailing_Coordinates Mailing_Country Mailing_Flat_House_No_Building_Apartment_Name \
         Mailing_Latitude Mailing_Longitude Mailing_State Mailing_Street Mailing_Zip Mobile \
         Modified_By Modified_Time Other_Address Other_City Other_Coordinates Other_Country \
         Other_Flat_House_No_Building_Apartment_Name Other_Latitude Other_Longitude Other_Phone \
         Other_State Other_Street Other_Zip Owner Phone Record_Image Reporting_To Salutation \
         Secondary_Email Skype_ID Tag Title Twitter Unsubscribed_Mode Unsubscribed_Time \
         Vendor_Name id nearby_distance__s",
    ),
    (
        "Leads",
        "$approval $approval_state $approved $converted $converted_detail $currency_symbol \
         $editable $field_states $in_merge $layout_id $locked_for_me $orchestration $pathfinder \
         $process_flow $review $review_process $sharing_permission $state $wizard_connection_path \
         $zia_owner_assignment $zia_visions Address Annual_Revenue City Company Converted_Account \
         Converted_Contact Converted_Deal Coordinates Country Created_By Created_Time Description \
         Designation Email Email_Opt_Out Fax First_Name Flat_House_No_Building_Apartment_Name \
         Full_Name Industry Last_Activity_Time Last_Name Latitude Lead_Conversion_Time \
         Lead_Source Lead_Status Locked__s Longitude Mobile Modified_By Modified_Time \
         No_of_Employees Owner Phone Rating Record_Image Salutation Secondary_Email Skype_ID \
         State Street Tag Twitter Unsubscribed_Mode Unsubscribed_Time Website Zip_Code id \
         nearby_distance__s",
    ),
    (
        "Deals",
        "$approval $approval_state $approved $currency_symbol $editable $field_states $in_merge \
         $layout_id $locked_for_me $orchestration $pathfinder $process_flow $review \
         $review_process $sharing_permission $state $wizard_connection_path $zia_owner_assignment \
         $zia_visions Account_Name Amount Campaign_Source Closing_Date Contact_Name Created_By \
         Created_Time Deal_Name Description Expected_Revenue Last_Activity_Time \
         Lead_Conversion_Time Lead_Source Locked__s Modified_By Modified_Time Next_Step \
         Overall_Sales_Duration Owner Pipeline Probability Reason_For_Loss__s \
         Sales_Cycle_Duration Stage Tag Type id",
    ),
    (
        "Accounts",
        "$approval $approval_state $approved $currency_symbol $editable $field_states $in_merge \
         $is_duplicate $layout_id $locked_for_me $orchestration $pathfinder $process_flow $review \
         $review_process $sharing_permission $state $wizard_connection_path $zia_owner_assignment \
         $zia_visions Account_Name Account_Number Account_Site Account_Type Annual_Revenue \
         Billing_Address Billing_City Billing_Code Billing_Coordinates Billing_Country \
         Billing_Flat_House_No_Building_Apartment_Name Billing_Latitude Billing_Longitude \
         Billing_State Billing_Street Created_By Created_Time Description Employees Fax Industry \
         Last_Activity_Time Locked__s Modified_By Modified_Time Owner Ownership Parent_Account \
         Phone Rating Record_Image SIC_Code Shipping_Address Shipping_City Shipping_Code \
         Shipping_Coordinates Shipping_Country Shipping_Flat_House_No_Building_Apartment_Name \
         Shipping_Latitude Shipping_Longitude Shipping_State Shipping_Street Tag Ticker_Symbol \
         Website id nearby_distance__s",
    ),
    (
        "Tasks",
        "$approval $approval_state $approved $currency_symbol $editable $field_states $in_merge \
         $locked_for_me $orchestration $process_flow $review $review_process $se_module $state \
         $u_id $zia_owner_assignment Closed_Time Created_By Created_Time Description Due_Date \
         Last_Activity_Time Locked__s Modified_By Modified_Time Owner Priority \
         Recurring_Activity Remind_At Send_Notification_Email Status Subject Tag What_Id Who_Id \
         id",
    ),
    (
        "Events",
        "$approval $approval_state $approved $calendar_booking_event $currency_symbol $editable \
         $field_states $in_merge $meeting_details $orchestration $process_flow $recurrence_id \
         $review $review_process $se_module $send_notification $state $u_id All_day \
         Check_In_Address Check_In_By Check_In_City Check_In_Comment Check_In_Country \
         Check_In_State Check_In_Status Check_In_Sub_Locality Check_In_Time Created_By \
         Created_Time Description End_DateTime Event_Title Last_Activity_Time Latitude \
         Longitude Modified_By Modified_Time Owner Participants Recurring_Activity Remind_At \
         Start_DateTime Tag Venue What_Id Who_Id ZIP_Code id",
    ),
    (
        "Calls",
        "$approval $approval_state $approved $calendar_booking_call $currency_symbol $editable \
         $field_states $in_merge $orchestration $process_flow $review $review_process \
         $se_module $state Call_Agenda Call_Duration Call_Duration_in_seconds Call_Purpose \
         Call_Result Call_Start_Time Call_Status Call_Type Caller_ID Created_By Created_Time \
         Description Dialled_Number Last_Activity_Time Modified_By Modified_Time Owner Reminder \
         Subject Tag What_Id Who_Id id",
    ),
];

fn data(record: &Value) -> Value {
    json!({ "data": [record] })
}

async fn made(client: &Client, module: &str, record: &Value) -> String {
    let path = format!("/crm/v8/{module}");
    let (status, made) = client.send("POST", &path, &data(record)).await;
    assert_eq!(status, 201, "{made}");
    made["data"][0]["details"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn shown(client: &Client, path: &str) -> Value {
    let (status, mut found) = client.get(&format!("/crm/v8/{path}")).await;
    assert_eq!(status, 200, "{path}: {found}");
    found["data"][0].take()
}

#[tokio::test]
async fn a_record_has_what_real_ones_have_and_nothing_else() {
    let client = Client::new().await;
    for (module, keys) in KEYS {
        let id = client.first(module).await;
        let record = shown(&client, &format!("{module}/{id}")).await;
        let got: Vec<&str> = record
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(got.join(" "), keys, "{module}");
        // The same in front of others when it is asked for by its name.
        let own: Vec<&str> = got
            .into_iter()
            .filter(|name| name.starts_with('$'))
            .collect();
        let path = format!("{module}/{id}?fields=Owner,$nothing,{}", own.join(","));
        let named = shown(&client, &path).await;
        for name in &own {
            assert_eq!(named[name], record[name], "{module} {name}");
        }
        assert_eq!(named.as_object().unwrap().len(), own.len() + 2, "{named}");
    }
}

#[tokio::test]
async fn what_is_said_of_activities_differs_from_what_is_said_of_others() {
    let client = Client::new().await;
    for module in ["Tasks", "Events", "Calls"] {
        let id = client.first(module).await;
        let record = shown(&client, &format!("{module}/{id}")).await;
        for name in ["$review_process", "Last_Activity_Time"] {
            assert_eq!(record[name], Value::Null, "{module} {name}");
        }
        let known = record["$u_id"].as_str().map(str::len);
        assert_eq!(known, (module == "Events").then_some(36), "{record}");
        let path = format!("{module}/{id}?fields=What_Id");
        assert!(shown(&client, &path).await.get("$se_module").is_some());
    }
    let task = client.first("Tasks").await;
    let path = format!("/crm/v8/Tasks/{task}/Notes");
    assert_eq!(client.send("POST", &path, &note("x")).await.0, 201);
    let path = format!("Tasks/{task}?fields=Last_Activity_Time");
    assert_eq!(
        shown(&client, &path).await["Last_Activity_Time"],
        Value::Null
    );
    let deal = client.first("Deals").await;
    let deal = shown(&client, &format!("Deals/{deal}")).await;
    assert_eq!(deal["$review_process"]["approve"], false);
}

#[tokio::test]
async fn an_address_is_put_together_from_what_is_seen_of_it() {
    let mut client = Client::new().await;
    let lead = json!({"Last_Name": "Okafor", "Company": "Brindle", "Street": "7 Quay", "City": "Bath",
        "State": "Avon", "Zip_Code": "BA1", "Country": "England"});
    let rep = client.sandbox.credentials().refresh_tokens.rep_1.clone();
    client.become_user(&rep).await;
    let id = made(&client, "Leads", &lead).await;
    let path = format!("Leads/{id}?fields=Address,Coordinates");
    let address =
        json!({"Address": "7 Quay\nBath, Avon BA1\nEngland", "Coordinates": "", "id": id});
    assert_eq!(shown(&client, &path).await, address);
    client
        .set(json!({"hidden_fields": ["Leads.City", "Leads.Country"]}))
        .await;
    assert_eq!(shown(&client, &path).await["Address"], "7 Quay\nAvon BA1");
    let bare = made(&client, "Contacts", &json!({"Last_Name": "Okafor"})).await;
    let path = format!("Contacts/{bare}?fields=Mailing_Address,Other_Address,Other_Coordinates");
    let nothing =
        json!({"Mailing_Address": "", "Other_Address": "", "Other_Coordinates": "", "id": bare});
    assert_eq!(shown(&client, &path).await, nothing);
}

#[tokio::test]
async fn an_address_is_described_and_neither_searched_nor_queried() {
    let client = Client::new().await;
    let (_, told) = client.get("/crm/v8/settings/fields?module=Contacts").await;
    let mut fields = told["fields"].as_array().unwrap().iter();
    let address = fields
        .find(|field| field["api_name"] == "Mailing_Address")
        .unwrap();
    assert_eq!(
        (
            &address["data_type"],
            &address["read_only"],
            &address["filterable"]
        ),
        (&json!("textarea"), &json!(true), &json!(false))
    );
    for refused in [
        client
            .get("/crm/v8/Contacts/search?criteria=(Mailing_Address:equals:Bath)")
            .await,
        client
            .coql("select Mailing_Address from Contacts where id is not null")
            .await,
    ] {
        assert_eq!(
            (refused.0, &refused.1["code"]),
            (400, &json!("INVALID_QUERY"))
        );
    }
}

#[tokio::test]
async fn a_deal_takes_the_days_until_it_closes_and_is_active_once_it_is_changed() {
    let client = Client::new().await;
    let fields = "Sales_Cycle_Duration,Overall_Sales_Duration,Last_Activity_Time,Modified_Time";
    let ask = async |id: &str| shown(&client, &format!("Deals/{id}?fields={fields}")).await;
    let mut deal = json!({"Deal_Name": "Pumps", "Stage": "Qualification"});
    let open = made(&client, "Deals", &deal).await;
    assert_eq!(ask(&open).await["Sales_Cycle_Duration"], Value::Null);
    deal["Closing_Date"] = json!("2024-12-31");
    let late = made(&client, "Deals", &deal).await;
    let told = ask(&late).await;
    assert_eq!(told["Sales_Cycle_Duration"], 0);
    assert_eq!(told["Overall_Sales_Duration"], 0);
    assert_eq!(told["Last_Activity_Time"], Value::Null);
    let path = format!("/crm/v8/Deals/{open}");
    let change = json!({"Next_Step": "Call", "Closing_Date": "9999-12-31"});
    assert_eq!(client.send("PUT", &path, &data(&change)).await.0, 200);
    let told = ask(&open).await;
    assert!(
        told["Sales_Cycle_Duration"].as_i64().unwrap() > 1_000_000,
        "{told}"
    );
    assert!(told["Last_Activity_Time"].is_string());
    assert_eq!(told["Last_Activity_Time"], told["Modified_Time"]);
}

#[tokio::test]
async fn only_to_the_users_themselves_it_is_told_how_their_pages_look() {
    let client = Client::new().await;
    let (_, me) = client.get("/crm/v8/users?type=CurrentUser").await;
    let me = &me["users"][0];
    assert_eq!(me["theme"]["selected_tab"]["background"], "#222222");
    assert_eq!(me["customize_info"]["show_detail_view"], true);
    let (_, all) = client.get("/crm/v8/users?type=AllUsers").await;
    let mut themed = all["users"].as_array().unwrap().clone();
    themed.retain(|user| user.get("theme").is_some());
    assert_eq!(&json!(themed), &json!([me]));
}

#[tokio::test]
async fn a_new_activity_says_that_it_is_planned_or_not_begun() {
    let client = Client::new().await;
    let task = json!({"data": [{"Subject": "Call back"}]});
    let times = ["2026-05-14T10:00:00+03:00", "2026-05-14T11:00:00+03:00"];
    let event = json!({"data": [{
        "Event_Title": "Demo", "Start_DateTime": times[0], "End_DateTime": times[1],
    }]});
    for (module, row, told) in [
        (
            "Tasks",
            task,
            json!({"Status": "Not Started", "Priority": "Normal"}),
        ),
        ("Events", event, json!({"Check_In_Status": "PLANNED"})),
    ] {
        let (_, made) = client
            .send("POST", &format!("/crm/v8/{module}"), &row)
            .await;
        let id = made["data"][0]["details"]["id"].as_str().unwrap();
        let path = format!("{module}/{id}");
        hold(&client, vec![read(path, 200, json!({"data": [told]}))]).await;
    }
}

#[tokio::test]
async fn a_moment_is_compared_with_a_day_by_its_first_moment() {
    let client = Client::new().await;
    let count = |criteria: &str| format!("Deals/actions/count?criteria=(Created_Time:{criteria})");
    let (_, all) = client.get("/crm/v8/Deals/actions/count").await;
    let between = count("between:2000-01-01,2100-01-01");
    hold(
        &client,
        vec![
            read(between, 200, all),
            read(count("less_than:2000-01-01"), 200, json!({"count": 0})),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_meeting_that_lasts_all_day_has_its_day_in_no_time_zone() {
    let client = Client::new().await;
    let times = ["2026-05-14T10:00:00-05:00", "2026-05-14T10:30:00-05:00"];
    let event = json!({"data": [{
        "Event_Title": "Fair", "All_day": true, "Start_DateTime": times[0], "End_DateTime": times[1],
    }]});
    let (_, made) = client.send("POST", "/crm/v8/Events", &event).await;
    let id = made["data"][0]["details"]["id"].as_str().unwrap();
    let told = json!({
        "Start_DateTime": "2026-05-14T00:00:00+00:00",
        "End_DateTime": "2026-05-14T23:59:59+00:00",
    });
    let read = read(format!("Events/{id}"), 200, json!({"data": [told]}));
    hold(&client, vec![read]).await;
}
